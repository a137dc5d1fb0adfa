//! What is kept of a request, so that a restart can send it again.

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

/// A request that is about to be sent for the first time: all that it takes to send exactly it again after a restart,
/// by [`resume`](crate::IdempotentClient::resume).
///
/// It goes through any format of serde's, versioned: what a later version of this crate wrote is an error, never a
/// guess. What a headers' list holds is what the request had; what the client adds by itself (default headers,
/// cookies of a store, `User-Agent`) is added anew, so let the client that resumes be built as the one before.
///
/// # Secrets
/// Credentials are not written: headers that are marked [sensitive](reqwest::header::HeaderValue::set_sensitive) (reqwest does so for
/// `bearer_auth` and `basic_auth`), `Authorization`, `Proxy-Authorization`, `Cookie`, `X-Api-Key` and `X-Auth-Token`,
/// and a password in the URL. Their names are; [`missing`](Self::missing) tells them after reading, and
/// [`headers_mut`](Self::headers_mut) takes today's, which must be of the same account. Secrets in a query, a path or
/// a body are written, since the request is not the same without them; so is the key.
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
    /// Secrets that were not written, once it was read.
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

    /// Where it goes.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its headers, that of the key among them. In the hook, secrets too.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// To put secrets back.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Its body. None where it has none, or [a stream](Self::is_stream).
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        match &self.body {
            KeptBody::Bytes(bytes) => Some(bytes),
            KeptBody::Nothing | KeptBody::Stream => None,
        }
    }

    /// Whether its body is a stream, a multipart form for instance. That cannot be kept, so it cannot be resumed.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self.body, KeptBody::Stream)
    }

    /// The names of headers that were left out because they are secret, and are not back yet.
    #[must_use]
    pub fn missing(&self) -> Vec<HeaderName> {
        self.left_out.iter().filter(|name| !self.headers.contains_key(*name)).cloned().collect()
    }

    /// Past this it is not sent again: the server may have forgotten the key, and would execute it anew. The
    /// [`retention`](crate::RetryPolicy::retention) after the first attempt, by this machine's clock. One that this
    /// system's time cannot tell is answered as one that no clock will read: some thousand years from now, or more.
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
    fn a_retention_past_the_end_of_time_ends_at_no_time_that_is_past() {
        let century = Duration::from_hours(100 * 365 * 24);
        for retention in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 63)] {
            let request = request(retention);
            assert!(request.until() > clock::now() + century, "{retention:?}: {:?}", request.until());
            assert!(!request.lifetime.is_over(clock::now() + century));
        }
    }

    #[test]
    fn a_retention_that_time_can_tell_ends_when_it_says() {
        let until = request(Duration::from_hours(1)).until();
        let left = until.duration_since(clock::now()).unwrap();
        assert!(left <= Duration::from_hours(1) && left > Duration::from_mins(50), "{left:?}");
    }
}
