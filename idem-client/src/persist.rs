//! The hook that is waited for before anything is sent.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::{Method, Request, Url};

use crate::{BoxError, ClientKey};

/// What is about to be sent for the first time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sending {
    /// Its key, for all its sendings.
    pub key: ClientKey,
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Its body, where that is not a stream.
    pub body: Option<Vec<u8>>,
}

type Kept = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

#[derive(Clone)]
pub(crate) struct Persist(Arc<dyn Fn(Sending) -> Kept + Send + Sync>);

impl Persist {
    pub(crate) fn new<F, Fut, E>(hook: F) -> Self
    where
        F: Fn(Sending) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move |sending| {
            let kept = hook(sending);
            Box::pin(async move { kept.await.map_err(Into::into) })
        }))
    }

    pub(crate) async fn keep(&self, key: &ClientKey, request: &Request) -> Result<(), BoxError> {
        let sending = Sending {
            key: key.clone(),
            method: request.method().clone(),
            url: request.url().clone(),
            body: request.body().and_then(reqwest::Body::as_bytes).map(<[u8]>::to_vec),
        };
        (self.0)(sending).await
    }
}

impl fmt::Debug for Persist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Persist")
    }
}
