//! What the wrapper and the middleware share.

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

/// The bound of bodies that must be read whole, where the application sets none.
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

    /// How much of a final answer's body is read. With a `forget` hook it is always read, since a key must not be forgotten
    /// while its answer may still break off.
    pub(crate) fn body_limit(&self) -> Option<usize> {
        self.read_body.or_else(|| self.forget.as_ref().map(|_| BODY_LIMIT))
    }
}

/// The settings, which the wrapper and the middleware have alike.
macro_rules! settings {
    () => {
        /// How requests are sent again. Default: [`RetryPolicy::default`](crate::RetryPolicy::default).
        ///
        /// Its budget begins anew, for this client and those that are cloned of it from now on. Let each API have a
        /// client of its own, so that the outage of one does not take the budget of another.
        #[must_use]
        pub fn policy(mut self, policy: crate::retry::policy::RetryPolicy) -> Self {
            self.options.set_policy(policy);
            self
        }

        /// The header in which keys are sent, for a server that has its own. A key that a request carries in
        /// `Idempotency-Key` is moved there. Default: `Idempotency-Key`.
        #[must_use]
        pub fn header(mut self, name: reqwest::header::HeaderName) -> Self {
            self.options.header = name;
            self
        }

        /// The header by which the server says `true` of a replay, for a server that has its own: a replay is final,
        /// whatever else it says. Default: `Idempotency-Replayed`, as `idem-http` has it unless it is told otherwise.
        #[must_use]
        pub fn replayed_header(mut self, name: reqwest::header::HeaderName) -> Self {
            self.options.replayed_header = name;
            self
        }

        /// The methods whose requests get a key. Others, unless they carry one, are sent once and as they are.
        /// Default: POST and PATCH.
        #[must_use]
        pub fn methods(mut self, methods: impl IntoIterator<Item = reqwest::Method>) -> Self {
            self.options.methods = methods.into_iter().collect();
            self
        }

        /// A hook that is waited for before a request is sent for the first time, to keep key and request where a
        /// restart finds them. When it fails, or does not end within the window, nothing is sent; what it may have
        /// written by then is the application's to remove. A request that is resumed was kept before, and is not kept
        /// again. Default: none.
        ///
        /// Let the hook insert and never overwrite (`create_new` of a file): a key that is kept already is that of an
        /// operation which has not ended. When the hook fails then, nothing is sent; resume what is kept first, at the start
        /// of the program, before anything new is sent.
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

        /// A hook that is waited for once the answer is there, to forget what [`persist`](Self::persist) kept. Its
        /// argument has the whole answer: write down what it says and remove the key in one transaction, so that no
        /// crash comes between the two.
        ///
        /// It is called for every final answer, and never where the request is given up. One exception: where an
        /// earlier attempt may have been executed (it was not the first, or the request was resumed), a status of
        /// 400 and more that is no replay may speak of this attempt alone, and the key still finds the answer once
        /// credentials or routes are right again. When the hook fails, or does not end within a window of its own, the
        /// answer is in the error.
        ///
        /// With it, bodies are [read](Self::read_body), of up to 1 MiB unless another limit is set. Default: none.
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

        /// Reads the answer's whole body before it is answered, of at most `limit` bytes as they are after
        /// decompression. One that breaks off, or takes longer than an attempt may, is asked for again with the same
        /// key. A longer one is [`Failure::TooLarge`](crate::Failure::TooLarge). Reading it from the response then
        /// fails no more. Default: bodies are the application's to read.
        #[must_use]
        pub fn read_body(mut self, limit: usize) -> Self {
            self.options.read_body = Some(limit);
            self
        }

        /// Follows redirects to other origins, and with other methods, as the client does by itself; keys go along.
        /// An answer then need not be that of the request. Default: both are
        /// [`Failure::Redirected`](crate::Failure::Redirected).
        #[must_use]
        pub fn any_redirect(mut self) -> Self {
            self.options.any_redirect = true;
            self
        }
    };
}
pub(crate) use settings;
