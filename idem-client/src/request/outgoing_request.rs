//! What is kept of a request, so that it can be sent again after a restart.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Request, Url};
use serde::{Deserialize, Serialize};

use crate::box_error::BoxError;
use crate::request::kept_body::KeptBody;
use crate::request::key::ClientKey;
use crate::request::lifetime::Lifetime;
use crate::request::resumed::Resumed;
use crate::request::wire::Wire;

/// A request that is about to be sent for the first time: all that is needed to send exactly the same request again after a
/// restart, by [`resume`](crate::IdempotentClient::resume).
///
/// It can be serialized in any serde format. The form is versioned: what a later version of this crate wrote is an error,
/// never a guess. The headers are those that the request had. What the client adds by itself (default headers, cookies of a
/// store, `User-Agent`) is added again, so build the client that resumes like the one before.
///
/// # Secrets
/// Credentials are not written: headers that are marked [sensitive](reqwest::header::HeaderValue::set_sensitive) (as reqwest
/// does for `bearer_auth` and `basic_auth`), `Authorization`, `Proxy-Authorization`, `Cookie`, `X-Api-Key`, `X-Auth-Token`
/// and some more headers that hold tokens by their usual names, and a password in the URL. The names of these headers are
/// written: [`missing`](Self::missing) lists them after reading, and [`headers_mut`](Self::headers_mut) takes today's values,
/// which must belong to the same account. Secrets in a query, a path or a body are written, since the request is not the
/// same without them; so is the key.
///
/// ```
/// use idem_client::OutgoingRequest;
/// use reqwest::header::{AUTHORIZATION, HeaderValue};
///
/// fn read(line: &str) -> Result<OutgoingRequest, Box<dyn std::error::Error>> {
///     let mut request: OutgoingRequest = serde_json::from_str(line)?;
///     let mut token = HeaderValue::from_static("Bearer today");
///     token.set_sensitive(true);
///     request.headers_mut().insert(AUTHORIZATION, token);
///     assert!(request.missing().is_empty());
///     Ok(request)
/// }
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct OutgoingRequest {
    pub(crate) key: ClientKey,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// After reading: the names of secret headers that were not written.
    pub(crate) left_out: Vec<HeaderName>,
    pub(crate) body: KeptBody,
    pub(crate) lifetime: Lifetime,
}

impl OutgoingRequest {
    pub(crate) fn new(key: &ClientKey, request: &Request, lifetime: Lifetime) -> Self {
        let body = match request.body() {
            None => KeptBody::Nothing,
            Some(body) => body
                .as_bytes()
                .map_or(KeptBody::Stream, |bytes| KeptBody::Bytes(Bytes::copy_from_slice(bytes))),
        };
        Self {
            key: key.clone(),
            method: request.method().clone(),
            url: request.url().clone(),
            headers: request.headers().clone(),
            left_out: Vec::new(),
            body,
            lifetime,
        }
    }

    /// The key of the operation.
    #[must_use]
    pub fn key(&self) -> &ClientKey {
        &self.key
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request's URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The request's headers, including that of the key. In the hook they include secrets.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The request's headers, to put secrets back.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The request's body. `None` where it has none, or one that is [a stream](Self::is_stream).
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        match &self.body {
            KeptBody::Bytes(bytes) => Some(bytes),
            KeptBody::Nothing | KeptBody::Stream => None,
        }
    }

    /// Whether the body is a stream, for example a multipart form. A stream cannot be kept, so such a request cannot be
    /// resumed.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self.body, KeptBody::Stream)
    }

    /// The names of headers that were left out because they are secret, and have not been put back yet.
    #[must_use]
    pub fn missing(&self) -> Vec<HeaderName> {
        self.left_out.iter().filter(|name| !self.headers.contains_key(*name)).cloned().collect()
    }

    /// After this time the request is not sent again: the server may have forgotten the key, and would execute the request a
    /// second time. It is the first attempt plus the [`retention`](crate::RetryPolicy::retention), by this machine's clock.
    /// A time that this system cannot represent is replaced by one that it can, some thousand years from now or more.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.lifetime.until()
    }

    pub(crate) fn request(&self) -> Result<(Request, Resumed), BoxError> {
        if let Some(name) = self.missing().first() {
            return Err(
                format!("the header {name} is secret, was not kept, and must be put back first").into()
            );
        }
        let mut request = Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        match &self.body {
            KeptBody::Nothing => {}
            KeptBody::Bytes(bytes) => *request.body_mut() = Some(bytes.clone().into()),
            KeptBody::Stream => return Err("its body is a stream, which cannot be kept".into()),
        }
        Ok((request, Resumed { key: self.key.clone(), lifetime: self.lifetime }))
    }
}

impl fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("key", &self.key)
            .field("method", &self.method)
            .field("origin", &self.url.origin().ascii_serialization())
            .field("body", &self.body().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn request(retention: Duration) -> OutgoingRequest {
        let request = Request::new(Method::POST, Url::parse("http://localhost/").unwrap());
        OutgoingRequest::new(&ClientKey::random(), &request, Lifetime::new(clock::now(), retention))
    }

    #[test]
    fn a_retention_too_long_to_represent_ends_in_the_far_future() {
        let century = Duration::from_hours(100 * 365 * 24);
        for retention in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 63)] {
            let request = request(retention);
            assert!(request.until() > clock::now() + century, "{retention:?}: {:?}", request.until());
            assert!(!request.lifetime.is_over(clock::now() + century));
        }
    }

    #[test]
    fn until_is_the_first_attempt_plus_the_retention() {
        let until = request(Duration::from_hours(1)).until();
        let left = until.duration_since(clock::now()).unwrap();
        assert!(left <= Duration::from_hours(1) && left > Duration::from_mins(50), "{left:?}");
    }
}
