//! The options of a layer, and their defaults.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use http_body::Body;
use idem_core::{OnError, Policy};

use crate::request::body::read::BodyLimits;
use crate::request::fingerprint::recipe::FingerprintRecipe;
use crate::request::key::KeySyntax;
use crate::request::original_uri::RequestUri;
use crate::request::unary_methods::UnaryMethods;
use crate::response::expiry::ExpiryHeader;
use crate::response::kept_headers::KeptHeaders;
use crate::response::outcome::KeptParts;
use crate::response::replies::Replies;
use crate::response::verdict::{ResponseHead, Verdict};

/// Whether a request may come without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyRule {
    /// A request without a key goes to its handler unchanged, as if there were no layer.
    #[default]
    Optional,
    /// A request without a key is answered with 400.
    Required,
}

/// What a retry gets while the first request is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenInFlight {
    /// 409 with `Retry-After`, at once.
    #[default]
    Refuse,
    /// The retry waits this long for the answer of the first request, and gets it. After that time it gets 409, and at
    /// once when [`max_waiters`](crate::IdempotencyLayerBuilder::max_waiters) are waiting already.
    Wait(Duration),
}

/// What becomes of a request when the store cannot answer before its handler has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenStoreFails {
    /// 503 with `Retry-After`; nothing is run without a lock.
    #[default]
    Refuse,
    /// The handler runs as if there were no layer, and **a retry may run it again**. The response carries the header
    /// that marks it as not kept; each case is logged, and counted with the feature `metrics`. A full store does not
    /// count as failed: it still replays, and only new keys are refused. For routes whose effects do no harm when they
    /// happen twice.
    PassThrough,
}

/// What the client gets when the handler has run and it is unknown whether its answer is kept. The key is never
/// released then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenNotRecorded {
    /// The handler's answer, with the header that marks it as not kept.
    #[default]
    Answer,
    /// 503 with `Retry-After`: the retry asks the store again.
    Refuse,
}

/// What becomes of the key when the handler gave no answer: it panicked, or its service failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenHandlerFails {
    /// The key is kept, as one whose answer is unavailable: nobody knows what the handler did, so it does not
    /// run again.
    #[default]
    Keep,
    /// The key is released: a retry runs the handler again. For handlers that undo what they did.
    Release,
}

/// A request that runs on after its client is gone: see
/// [`IdempotencyLayerBuilder::when_detached`](crate::IdempotencyLayerBuilder::when_detached).
pub type Detached = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The application's wrapper around such a request.
pub(crate) type DetachedWrapper = Arc<dyn Fn(Detached) -> Detached + Send + Sync>;

/// The application's function from an answer to its verdict.
pub(crate) type VerdictOf = Arc<dyn Fn(&ResponseHead<'_>) -> Verdict + Send + Sync>;

/// Everything but the store and the scope.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) key: KeyRule,
    pub(crate) methods: Vec<Method>,
    pub(crate) grpc_unary: UnaryMethods,
    pub(crate) key_headers: Vec<HeaderName>,
    pub(crate) syntax: KeySyntax,
    pub(crate) body: BodyLimits,
    pub(crate) max_bodies_bytes: Option<usize>,
    pub(crate) in_flight: WhenInFlight,
    pub(crate) max_waiters: usize,
    pub(crate) lease: Duration,
    pub(crate) retention: Duration,
    pub(crate) renew_for: Option<Duration>,
    pub(crate) store_timeout: Option<Duration>,
    pub(crate) request_uri: Option<RequestUri>,
    pub(crate) recipe: FingerprintRecipe,
    pub(crate) verdict: VerdictOf,
    pub(crate) release_on: Vec<StatusCode>,
    pub(crate) not_executed_header: bool,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) kept: KeptParts,
    pub(crate) response_timeout: Duration,
    pub(crate) stream_after: Duration,
    pub(crate) store_fails: WhenStoreFails,
    pub(crate) not_recorded: WhenNotRecorded,
    pub(crate) panics: WhenHandlerFails,
    pub(crate) errors: WhenHandlerFails,
    pub(crate) expires_header: ExpiryHeader,
    pub(crate) not_kept_header: HeaderName,
    pub(crate) detached: Option<DetachedWrapper>,
    pub(crate) replies: Replies,
}

const MIB: usize = 1 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            key: KeyRule::default(),
            methods: vec![Method::POST, Method::PATCH],
            grpc_unary: UnaryMethods::default(),
            key_headers: vec![HeaderName::from_static("idempotency-key")],
            syntax: KeySyntax::default(),
            body: BodyLimits { max_bytes: MIB, timeout: Duration::from_secs(30) },
            max_bodies_bytes: None,
            in_flight: WhenInFlight::default(),
            max_waiters: 1_024,
            lease: Duration::from_secs(30),
            retention: Duration::from_hours(24),
            renew_for: None,
            store_timeout: None,
            request_uri: RequestUri::default_choice(),
            recipe: FingerprintRecipe::default(),
            verdict: Arc::new(standard_verdict),
            release_on: Vec::new(),
            not_executed_header: false,
            handler_timeout: None,
            // Together with the headers this stays below what the stores take by default.
            kept: KeptParts { headers: KeptHeaders::default(), max_body: MIB - MIB / 16 },
            response_timeout: Duration::from_secs(10),
            stream_after: Duration::from_secs(1),
            store_fails: WhenStoreFails::default(),
            not_recorded: WhenNotRecorded::default(),
            panics: WhenHandlerFails::default(),
            errors: WhenHandlerFails::default(),
            expires_header: ExpiryHeader::default(),
            not_kept_header: HeaderName::from_static("idempotency-not-kept"),
            detached: None,
            replies: Replies {
                page: None,
                replayed_header: HeaderName::from_static("idempotency-replayed"),
                retry_in_flight: Duration::from_secs(1),
                retry_store: Duration::from_secs(1),
            },
        }
    }
}

impl Options {
    pub(crate) fn wait(&self) -> Duration {
        match self.in_flight {
            WhenInFlight::Refuse => Duration::ZERO,
            WhenInFlight::Wait(limit) => limit,
        }
    }

    /// What all bodies may take together. The largest body that is allowed always fits: `build` refuses less.
    pub(crate) fn max_bodies_bytes(&self) -> usize {
        self.max_bodies_bytes.unwrap_or(self.body.max_bytes.saturating_mul(2).max(64 * MIB))
    }

    /// How long a body is buffered.
    pub(crate) fn response_timeout_for(&self, body: &impl Body) -> Duration {
        let is_length_known = body.size_hint().exact().is_some();
        if is_length_known { self.response_timeout } else { self.response_timeout.min(self.stream_after) }
    }

    /// The policy releases no key: the layer itself does that where nothing ran, so that a key whose answer is in doubt
    /// is never released. Nor does the policy wait for other attempts: the layer does, so that the wait ends when the
    /// client leaves.
    pub(crate) fn policy(&self) -> Policy {
        // `peek_first` is off because the intake has peeked already.
        let policy = Policy::new(self.lease, self.retention).on_error(OnError::Keep).peek_first(false);
        let policy = match self.store_timeout {
            Some(limit) => policy.resend_for(limit),
            None => policy,
        };
        match self.renew_for {
            Some(ceiling) => policy.renew_for(ceiling),
            None => policy,
        }
    }
}

fn standard_verdict(response: &ResponseHead<'_>) -> Verdict {
    response.standard_verdict()
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("key", &self.key)
            .field("methods", &self.methods)
            .field("key_headers", &self.key_headers)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
