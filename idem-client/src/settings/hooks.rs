//! Hooks: functions of the application that are called before the first attempt and after the final answer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::box_error::BoxError;
use crate::request::key::ClientKey;

type Done = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// An asynchronous function of the application.
pub(crate) struct Hook<T>(Arc<dyn Fn(T) -> Done + Send + Sync>);

impl<T> Hook<T> {
    pub(crate) fn new<F, Fut, E>(hook: F) -> Self
    where
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move |given| {
            let done = hook(given);
            Box::pin(async move { done.await.map_err(Into::into) })
        }))
    }

    pub(crate) async fn call(&self, given: T) -> Result<(), BoxError> {
        (self.0)(given).await
    }
}

impl<T> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// The whole answer of an operation that is over, for the hook [`forget`](crate::IdempotentClient::forget).
///
/// ```
/// fn note(answered: &idem_client::Answered) -> String {
///     format!("{}: {}, {} bytes", answered.key.as_str(), answered.status, answered.body.len())
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Answered {
    /// The key of the operation, whose request will not be sent again.
    pub key: ClientKey,
    /// Status of the answer.
    pub status: StatusCode,
    /// Headers of the answer.
    pub headers: HeaderMap,
    /// Body of the answer.
    pub body: Bytes,
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered")
            .field("key", &self.key)
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}
