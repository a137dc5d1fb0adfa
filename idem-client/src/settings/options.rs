//! The settings that the wrapper and the middleware share.

use std::sync::Arc;
use std::time::SystemTime;

use reqwest::header::HeaderName;
use reqwest::{Method, Request};

use crate::box_error::BoxError;
use crate::clock;
use crate::request::key::{ClientKey, HEADER, KeyError, carries_key, ensure_key};
use crate::request::lifetime::Lifetime;
use crate::request::outgoing_request::OutgoingRequest;
use crate::response::answer::REPLAYED;
use crate::retry::budget::Budget;
use crate::retry::policy::RetryPolicy;
use crate::settings::hooks::{Answered, Hook};

/// The limit for bodies that must be read whole, where the application sets none.
const BODY_LIMIT: usize = 1_024 * 1_024;

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) policy: RetryPolicy,
    pub(crate) budget: Arc<Budget>,
    pub(crate) header: HeaderName,
    pub(crate) replayed_header: HeaderName,
    pub(crate) methods: Vec<Method>,
    pub(crate) persist: Option<Hook<OutgoingRequest>>,
    pub(crate) forget: Option<Hook<Answered>>,
    pub(crate) read_body: Option<usize>,
    pub(crate) any_redirect: bool,
    /// The wall clock.
    pub(crate) now: fn() -> SystemTime,
}

impl Default for Options {
    fn default() -> Self {
        let policy = RetryPolicy::default();
        Self {
            budget: Arc::new(Budget::new(&policy)),
            policy,
            header: HEADER,
            replayed_header: REPLAYED,
            methods: vec![Method::POST, Method::PATCH],
            persist: None,
            forget: None,
            read_body: None,
            any_redirect: false,
            now: clock::now,
        }
    }
}

impl Options {
    pub(crate) fn set_policy(&mut self, policy: RetryPolicy) {
        self.budget = Arc::new(Budget::new(&policy));
        self.policy = policy;
    }

    pub(crate) fn takes_key(&self, request: &Request) -> bool {
        self.methods.contains(request.method()) || carries_key(request, &self.header)
    }

    /// The key that the request has, or a new one that it is given.
    pub(crate) fn key(&self, request: &mut Request) -> Result<Option<ClientKey>, KeyError> {
        ensure_key(request, &self.header)
    }

    pub(crate) async fn keep(
        &self,
        key: Option<&ClientKey>,
        request: &Request,
        lifetime: Lifetime,
    ) -> Result<(), BoxError> {
        match (&self.persist, key) {
            (Some(persist), Some(key)) => persist.call(OutgoingRequest::new(key, request, lifetime)).await,
            (Some(_), None) => Err("the request's own header holds no key that can be read".into()),
            (None, _) => Ok(()),
        }
    }

    /// How much of the body of a final answer is read. With a `forget` hook the body is always read, since a key must not be
    /// forgotten while its answer may still break off.
    pub(crate) fn body_limit(&self) -> Option<usize> {
        self.read_body.or_else(|| self.forget.as_ref().map(|_| BODY_LIMIT))
    }
}

/// The methods for the settings, which the wrapper and the middleware share.
macro_rules! settings {
    () => {
        /// How requests are sent again. Default: [`RetryPolicy::default`](crate::RetryPolicy::default).
        ///
        /// The retry budget starts afresh, for this client and its future clones. Use a client of its own for each API, so
        /// that the outage of one API does not use up the budget of another.
        #[must_use]
        pub fn policy(mut self, policy: crate::retry::policy::RetryPolicy) -> Self {
            self.options.set_policy(policy);
            self
        }

        /// The header in which keys are sent, for a server that uses another one. A key that a request carries in
        /// `Idempotency-Key` is moved there. Default: `Idempotency-Key`.
        #[must_use]
        pub fn header(mut self, name: reqwest::header::HeaderName) -> Self {
            self.options.header = name;
            self
        }

        /// The header whose value `true` marks a replay, for a server that uses another one. A replay is final, whatever its
        /// status. Default: `Idempotency-Replayed`, as `idem-http` has it unless configured otherwise.
        #[must_use]
        pub fn replayed_header(mut self, name: reqwest::header::HeaderName) -> Self {
            self.options.replayed_header = name;
            self
        }

        /// The methods whose requests get a key. Other requests, unless they carry a key, are sent once and unchanged.
        /// Default: POST and PATCH.
        #[must_use]
        pub fn methods(mut self, methods: impl IntoIterator<Item = reqwest::Method>) -> Self {
            self.options.methods = methods.into_iter().collect();
            self
        }

        /// A hook that is awaited before a request is sent for the first time, to keep key and request where a restart finds
        /// them. When the hook fails, or does not end within the window, nothing is sent; the application must then remove
        /// what the hook may have written. A request that is resumed was kept before, and is not kept again. Default: none.
        ///
        /// The hook should insert and never overwrite (`create_new` of a file): a key that is kept already belongs to an
        /// operation that has not ended, and then the hook must fail, so that nothing is sent. Resume what is kept at the
        /// start of the program, before anything new is sent.
        #[must_use]
        pub fn persist<F, Fut, E>(mut self, hook: F) -> Self
        where
            F: Fn(crate::request::outgoing_request::OutgoingRequest) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<crate::box_error::BoxError>,
        {
            self.options.persist = Some(crate::settings::hooks::Hook::new(hook));
            self
        }

        /// A hook that is awaited once the answer has arrived, to remove what [`persist`](Self::persist) kept. The hook gets
        /// the whole answer: record the answer and remove the key in one transaction, so that no crash comes between the two.
        ///
        /// The hook is called for every final answer, with one exception, and never when the request is given up. The
        /// exception: where an earlier attempt may have been executed (there was an earlier attempt, or the request was
        /// resumed), a status of 400 or above that is not a replay may concern the last attempt alone, and the key still
        /// finds the answer once credentials or routes are right again. When the hook fails, or does not end within another
        /// [`window`](crate::RetryPolicy::window), the error has the answer.
        ///
        /// With this hook, bodies are [read](Self::read_body), up to 1 MiB unless another limit is set. Default: none.
        #[must_use]
        pub fn forget<F, Fut, E>(mut self, hook: F) -> Self
        where
            F: Fn(crate::settings::hooks::Answered) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<crate::box_error::BoxError>,
        {
            self.options.forget = Some(crate::settings::hooks::Hook::new(hook));
            self
        }

        /// Reads the whole body of the final answer, of at most `limit` bytes after decompression, before the answer is
        /// returned. When the body breaks off, or takes longer than an attempt may, the request is sent again with the same
        /// key. A longer body is [`Failure::TooLarge`](crate::Failure::TooLarge). Reading the body from the returned answer
        /// cannot fail. Default: the application reads bodies.
        #[must_use]
        pub fn read_body(mut self, limit: usize) -> Self {
            self.options.read_body = Some(limit);
            self
        }

        /// Follows redirects to other origins, and those that change the method, as reqwest does by default; keys are sent
        /// along. Then an answer may not be the answer to the request. Default: both are
        /// [`Failure::Redirected`](crate::Failure::Redirected).
        #[must_use]
        pub fn any_redirect(mut self) -> Self {
            self.options.any_redirect = true;
            self
        }
    };
}
pub(crate) use settings;
