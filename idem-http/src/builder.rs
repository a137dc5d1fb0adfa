//! Putting a layer together.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use idem_core::Store;

use tokio::sync::Semaphore;

use crate::fingerprint::FingerprintRecipe;
use crate::future::Detached;
use crate::grpc::UnaryMethods;
use crate::headers::KeptHeaders;
use crate::key::KeySyntax;
use crate::options::{KeyRule, Options, WhenHandlerFails, WhenInFlight, WhenNotRecorded, WhenStoreFails};
use crate::original_uri::RequestUri;
use crate::problem::Page;
use crate::scope::ScopeOf;
use crate::verdict::{ResponseHead, Verdict};

/// Collects the options of an [`IdempotencyLayer`](crate::IdempotencyLayer); each has a default.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct IdempotencyLayerBuilder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scope: ScopeOf,
    pub(crate) options: Options,
}

impl IdempotencyLayerBuilder {
    pub(crate) fn new(store: Arc<dyn Store>, scope: ScopeOf) -> Self {
        Self { store, scope, options: Options::default() }
    }

    /// Whether a request may come without a key. Default: [`KeyRule::Optional`].
    pub fn key(mut self, rule: KeyRule) -> Self {
        self.options.key = rule;
        self
    }

    /// The methods that the layer acts on; requests with others go to their handler untouched, whatever headers
    /// they have. Default: `POST` and `PATCH`.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.options.methods = methods.into_iter().collect();
        self
    }

    /// The unary methods of gRPC that the layer acts on: `/pay.Pay/Charge`, or `/pay.Pay/*` for all of a service. Calls of
    /// other methods then go to their handlers untouched, since they may be streams; the first one with a key is told in
    /// the log. Default: none, and a call with a key is taken for a unary one.
    pub fn grpc_unary(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.grpc_unary = UnaryMethods::new(methods.into_iter().map(Into::into).collect());
        self
    }

    /// The headers that may hold the key. A request with two of them is answered with 400. Default:
    /// `Idempotency-Key`.
    pub fn key_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options.key_headers = names.into_iter().collect();
        self
    }

    /// How the value of the header is read. Default: [`KeySyntax::Lenient`].
    pub fn syntax(mut self, syntax: KeySyntax) -> Self {
        self.options.syntax = syntax;
        self
    }

    /// The bytes that the body of a request with a key may have; a longer one is answered with 413. Default:
    /// 1 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.options.max_body = bytes;
        self
    }

    /// How long the body may take to arrive, from its first byte to its last; 408 after that. Default: 30 s.
    pub fn body_timeout(mut self, time: Duration) -> Self {
        self.options.body_timeout = time;
        self
    }

    /// What a retry gets while the first request runs. Default: [`WhenInFlight::Refuse`].
    pub fn when_in_flight(mut self, when: WhenInFlight) -> Self {
        self.options.in_flight = when;
        self
    }

    /// How many retries may wait at one time under [`WhenInFlight::Wait`]; one that finds no place, at first or after a
    /// round in vain, is answered with 409. One whose client leaves waits no longer. Default: 1,024. Zero: none waits.
    pub fn max_waiters(mut self, most: usize) -> Self {
        self.options.max_waiters = most.min(Semaphore::MAX_PERMITS);
        self
    }

    /// How long a handler may be silent before a retry may take its request over. It is renewed while the
    /// handler runs, so it need not be as long as the slowest handler: it is how long a key stays blocked after a
    /// crash. Default: 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease;
        self
    }

    /// How long an answer is replayed: at least as long as clients retry. Default: 24 hours.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.options.retention = retention;
        self
    }

    /// Renewals let the lease last until `ceiling` after the handler began and no longer, so from then on a retry may
    /// run the request again, whether the first handler is still at it or not; a first lease that is longer than
    /// `ceiling` is not cut short. So a handler that hangs does not hold its key for ever. Default: ten leases.
    pub fn renew_for(mut self, ceiling: Duration) -> Self {
        self.options.renew_for = Some(ceiling);
        self
    }

    /// How long a call of the store is sent again until it counts as failed. All that comes before the handler counts as
    /// one call, so a request is answered with 503 so long after it came, about; where it waited for another one with
    /// its key, so long after that. Default: what [`Policy::resend_for`](idem_core::Policy::resend_for) says, two and a
    /// half times the store's own time for a call and at least 10 s.
    pub fn store_timeout(mut self, limit: Duration) -> Self {
        self.options.store_timeout = Some(limit);
        self
    }

    /// Where the layer finds the URI as the client sent it. Default: [`RequestUri::Original`] with the feature `axum`;
    /// without it there is none, and the application says what is so.
    pub fn request_uri(mut self, uri: RequestUri) -> Self {
        self.options.request_uri = Some(uri);
        self
    }

    /// How a request becomes a fingerprint. Default: [`FingerprintRecipe::new`].
    pub fn fingerprint(mut self, recipe: FingerprintRecipe) -> Self {
        self.options.recipe = recipe;
        self
    }

    /// Which answers are kept. It is asked when a handler's answer begins, and once more after the body when
    /// there are trailers. Default: [`ResponseHead::standard_verdict`].
    pub fn verdict(mut self, judge: impl Fn(&ResponseHead<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        self.options.judge = Arc::new(judge);
        self
    }

    /// Answers of these statuses release the key, so that a retry runs the handler again: say it of those that your
    /// handlers give only when they did nothing, such as 401, 403 or 404. Beside what the [verdict](IdempotencyLayerBuilder::verdict) says.
    /// Default: none. A single answer says it by [`NotExecuted`](crate::NotExecuted).
    pub fn release_on(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.options.release_on = statuses.into_iter().collect();
        self
    }

    /// Whether an answer may also say by the header [`NOT_EXECUTED`](crate::NOT_EXECUTED) that nothing was executed. Not
    /// in front of anything that hands on the headers of others, such as a proxy: they could have a request run twice.
    /// Default: no.
    pub fn not_executed_header(mut self, is_obeyed: bool) -> Self {
        self.options.not_executed_header = is_obeyed;
        self
    }

    /// How long a handler may take, from the call of the inner service to its answer, the body apart. A request without a
    /// key, or one that runs without a lock, has no limit. After that it is dropped, its client gets 504, and a
    /// retry is told that the answer was not kept: what it did until then is unknown, so it does not run again. Default: no
    /// limit.
    pub fn handler_timeout(mut self, limit: Duration) -> Self {
        self.options.handler_timeout = Some(limit);
        self
    }

    /// Which headers of an answer its retries get as well. Default: [`KeptHeaders::new`].
    pub fn kept_headers(mut self, kept: KeptHeaders) -> Self {
        self.options.kept = kept;
        self
    }

    /// The bytes of an answer's body that are buffered and kept. A longer one reaches the first client whole, and
    /// a retry is told that it was not kept. Keep it below what the store takes for one outcome, headers included. Default:
    /// 960 KiB, where the stores take 1 MiB by default.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.options.max_response = bytes;
        self
    }

    /// How long an answer's body is buffered; one that takes longer is a stream, and not kept. Default: 10 s.
    pub fn response_timeout(mut self, time: Duration) -> Self {
        self.options.response_timeout = time;
        self
    }

    /// How long the body of an answer is buffered that does not say how long it is; one that is not whole by then is a
    /// stream: it flows to its client from its first byte, and is not kept. At most [`response_timeout`](
    /// IdempotencyLayerBuilder::response_timeout). Default: 1 s.
    pub fn stream_after(mut self, time: Duration) -> Self {
        self.options.stream_after = time;
        self
    }

    /// What happens when the store cannot answer. Default: [`WhenStoreFails::Refuse`].
    pub fn when_store_fails(mut self, when: WhenStoreFails) -> Self {
        self.options.store_fails = when;
        self
    }

    /// What happens when the handler ran and its answer may not be kept. Default: [`WhenNotRecorded::Answer`].
    pub fn when_not_recorded(mut self, when: WhenNotRecorded) -> Self {
        self.options.not_recorded = when;
        self
    }

    /// What becomes of the key of a handler that panics; its client gets 500. Default: [`WhenHandlerFails::Keep`].
    pub fn when_handler_panics(mut self, when: WhenHandlerFails) -> Self {
        self.options.panics = when;
        self
    }

    /// What becomes of the key when the inner service answers `Err`, as a time limit inside the layer may; the
    /// error goes on to the layers outside. Default: [`WhenHandlerFails::Keep`].
    pub fn when_service_fails(mut self, when: WhenHandlerFails) -> Self {
        self.options.errors = when;
        self
    }

    /// Puts something around a request that goes on in a task of its own, since its client is gone: what its first
    /// task had and this one has not, such as task-locals. The current span comes along by itself. Default: nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use idem_core::{Scope, Store};
    /// # use idem_http::{IdempotencyLayer, RequestUri};
    /// tokio::task_local! {
    ///     static TENANT: u64;
    /// }
    ///
    /// # fn layer(store: Arc<dyn Store>) -> idem_core::Result<IdempotencyLayer> {
    /// IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
    ///     .request_uri(RequestUri::Unchanged)
    ///     // Called where the request was until now.
    ///     .when_detached(|rest| match TENANT.try_get() {
    ///         Ok(tenant) => Box::pin(TENANT.scope(tenant, rest)),
    ///         Err(_) => rest,
    ///     })
    ///     .build()
    /// # }
    /// ```
    pub fn when_detached(mut self, wrap: impl Fn(Detached) -> Detached + Send + Sync + 'static) -> Self {
        self.options.detached = Some(Arc::new(wrap));
        self
    }

    /// The header that marks a replayed answer. Default: `Idempotency-Replayed`.
    pub fn replayed_header(mut self, name: HeaderName) -> Self {
        self.options.replayed_header = name;
        self
    }

    /// The header that marks an answer of which it is unknown whether it is kept: the store failed at its completion, or had
    /// failed before, so that the handler ran without a lock. An answer that is certainly not kept (by a verdict, or too
    /// long) has no such header; its retries get `not_kept`. Default: `Idempotency-Not-Kept`.
    pub fn not_kept_header(mut self, name: HeaderName) -> Self {
        self.options.not_kept_header = name;
        self
    }

    /// The API's own page about its keys: problems link to it, and are named by its fragments. Default: none.
    pub fn documentation(mut self, page: &Uri) -> Self {
        let address = page.to_string();
        // A Uri has no character that could end the header.
        let link = HeaderValue::try_from(format!("<{address}>; rel=\"describedby\""));
        self.options.page = link.ok().map(|link| Page { address: address.into(), link });
        self
    }

    /// What `Retry-After` says to a retry that came too early: never more than what is left of the lease, and
    /// whole seconds. Default: 1 s.
    pub fn retry_in_flight(mut self, pause: Duration) -> Self {
        self.options.retry_in_flight = pause;
        self
    }

    /// What `Retry-After` says when the store cannot answer, or the server is busy. Default: 1 s.
    pub fn retry_store(mut self, pause: Duration) -> Self {
        self.options.retry_store = pause;
        self
    }
}

impl std::fmt::Debug for IdempotencyLayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdempotencyLayerBuilder")
            .field("store", &self.store)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
