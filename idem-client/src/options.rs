//! What the wrapper and the middleware share.

use reqwest::header::HeaderName;
use reqwest::{Method, Request};

use crate::key::HEADER;
use crate::persist::Persist;
use crate::{BoxError, ClientKey, InvalidKey, RetryPolicy};

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) policy: RetryPolicy,
    pub(crate) header: HeaderName,
    pub(crate) methods: Vec<Method>,
    pub(crate) persist: Option<Persist>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: RetryPolicy::default(),
            header: HEADER,
            methods: vec![Method::POST, Method::PATCH],
            persist: None,
        }
    }
}

impl Options {
    pub(crate) fn takes_key(&self, request: &Request) -> bool {
        self.methods.contains(request.method()) || request.headers().contains_key(&self.header)
    }

    /// The key that the request has, or a new one that it is given.
    pub(crate) fn key(&self, request: &mut Request) -> Result<Option<ClientKey>, InvalidKey> {
        if let Some(own) = request.headers().get(&self.header) {
            return Ok(ClientKey::of(own));
        }
        let key = ClientKey::random();
        request.headers_mut().insert(self.header.clone(), key.to_value()?);
        Ok(Some(key))
    }

    pub(crate) async fn keep(&self, key: Option<&ClientKey>, request: &Request) -> Result<(), BoxError> {
        match (&self.persist, key) {
            (Some(persist), Some(key)) => persist.keep(key, request).await,
            (Some(_), None) => Err("the request's own header holds no key that can be read".into()),
            (None, _) => Ok(()),
        }
    }
}

/// The settings, which the wrapper and the middleware have alike.
macro_rules! settings {
    () => {
        /// How requests are sent again. Default: [`RetryPolicy::default`](crate::RetryPolicy::default).
        #[must_use]
        pub fn policy(mut self, policy: crate::RetryPolicy) -> Self {
            self.options.policy = policy;
            self
        }

        /// The header of the key, for a server that has its own. Default: `Idempotency-Key`.
        #[must_use]
        pub fn header(mut self, name: reqwest::header::HeaderName) -> Self {
            self.options.header = name;
            self
        }

        /// The methods whose requests get a key. Others, unless they carry one, are sent once and as they are.
        /// Default: POST and PATCH.
        #[must_use]
        pub fn methods(mut self, methods: impl IntoIterator<Item = reqwest::Method>) -> Self {
            self.options.methods = methods.into_iter().collect();
            self
        }

        /// A hook that is waited for before a request is sent for the first time, to keep its key where a restart
        /// finds it. When it fails nothing is sent. Default: none.
        #[must_use]
        pub fn persist<F, Fut, E>(mut self, hook: F) -> Self
        where
            F: Fn(crate::Sending) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<crate::BoxError>,
        {
            self.options.persist = Some(crate::persist::Persist::new(hook));
            self
        }
    };
}
pub(crate) use settings;
