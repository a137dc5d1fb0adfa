//! What is kept of a request, so that a restart can send it again.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use reqwest::{Method, Request, Url};
use serde::{Deserialize, Serialize};

use crate::clock::unix_seconds;
use crate::wire::Wire;
use crate::{BoxError, ClientKey};

/// How far a clock may be behind the one that was read at the first sending.
const CLOCKS_DIFFER: u64 = 300;

/// A request that is about to be sent for the first time: all that it takes to send exactly it again after a restart,
/// by [`resume`](crate::IdempotentClient::resume).
///
/// It goes through any format of serde's, versioned: what a later version of this crate wrote is an error, never a
/// guess. What a headers' list holds is what the request had; what the client adds by itself (default headers,
/// cookies of a store, `User-Agent`) is added anew, so let the client that resumes be built as the one before.
///
/// # Secrets
/// Credentials are not written: headers that are marked [sensitive](HeaderValue::set_sensitive) (reqwest does so for
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
///     let mut sending: OutgoingRequest = serde_json::from_str(line)?;
///     let mut token = HeaderValue::from_static("Bearer today");
///     token.set_sensitive(true);
///     sending.headers_mut().insert(AUTHORIZATION, token);
///     assert!(sending.missing().is_empty());
///     Ok(sending)
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
    pub(crate) body: Kept,
    pub(crate) lifetime: Lifetime,
}

#[derive(Clone)]
pub(crate) enum Kept {
    Nothing,
    Bytes(Bytes),
    Stream,
}

/// The same operation, after a restart.
#[derive(Debug, Clone)]
pub(crate) struct Resumed {
    pub(crate) key: ClientKey,
    pub(crate) lifetime: Lifetime,
}

/// Within which a key may be sent, by the wall clock: it goes on while the machine sleeps, and over restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// Seconds since 1970.
    pub(crate) first_sent: u64,
    pub(crate) until: u64,
}

impl OutgoingRequest {
    pub(crate) fn new(key: &ClientKey, request: &Request, lifetime: Lifetime) -> Self {
        let body = match request.body() {
            None => Kept::Nothing,
            Some(body) => {
                body.as_bytes().map_or(Kept::Stream, |bytes| Kept::Bytes(Bytes::copy_from_slice(bytes)))
            }
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
            Kept::Bytes(bytes) => Some(bytes),
            Kept::Nothing | Kept::Stream => None,
        }
    }

    /// Whether its body is a stream, a multipart form for instance. That cannot be kept, so it cannot be resumed.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self.body, Kept::Stream)
    }

    /// The names of headers that were left out because they are secret, and are not back yet.
    #[must_use]
    pub fn missing(&self) -> Vec<HeaderName> {
        self.left_out.iter().filter(|name| !self.headers.contains_key(*name)).cloned().collect()
    }

    /// Past this it is not sent again: the server may have forgotten the key, and would execute it anew. The
    /// [`retention`](crate::RetryPolicy::retention) after the first sending, by this machine's clock. One that this
    /// system's time cannot tell is answered as one that no clock will read: some thousand years from now, or more.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        at(self.lifetime.until)
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
            Kept::Nothing => {}
            Kept::Bytes(bytes) => *request.body_mut() = Some(bytes.clone().into()),
            Kept::Stream => return Err("its body is a stream, which cannot be kept".into()),
        }
        Ok((request, Resumed { key: self.key.clone(), lifetime: self.lifetime }))
    }
}

#[cfg(feature = "middleware")]
impl Resumed {
    /// Whether it is this request that is resumed.
    pub(crate) fn is_of(&self, request: &Request) -> bool {
        request.headers().values().any(|value| ClientKey::of(value).as_ref() == Some(&self.key))
    }
}

impl Lifetime {
    /// In whole seconds, of which there is at least one.
    pub(crate) fn new(now: SystemTime, retention: Duration) -> Self {
        let first_sent = unix_seconds(now);
        Self { first_sent, until: first_sent.saturating_add(retention.as_secs().max(1)) }
    }

    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        unix_seconds(now) >= self.until
    }

    /// Whether a key that was first sent by another process may be sent still.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), BoxError> {
        if unix_seconds(now).saturating_add(CLOCKS_DIFFER) < self.first_sent {
            return Err("the clock is behind the time of its first sending: its age cannot be told".into());
        }
        if self.is_over(now) {
            return Err(
                "it is older than the server keeps answers: sent again it might be executed again".into()
            );
        }
        Ok(())
    }
}

/// So many seconds after 1970, or less where the system has no such time.
fn at(seconds: u64) -> SystemTime {
    let times = std::iter::successors(Some(seconds), |seconds| Some(seconds / 2));
    let mut times =
        times.filter_map(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    // The last of them is 1970 itself, which every system has.
    times.next().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Headers that hold credentials by their usual names.
const SECRETS: [&str; 14] = [
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-refresh-token",
    "x-session-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-vault-token",
    "x-subject-token",
    "ocp-apim-subscription-key",
    "dpop",
];

/// Whether a header is for the server alone.
pub(crate) fn is_secret(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive()
        || [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name)
        || SECRETS.contains(&name.as_str())
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
    use super::*;
    use crate::clock;

    fn sending(retention: Duration) -> OutgoingRequest {
        let request = Request::new(Method::POST, Url::parse("http://localhost/").unwrap());
        OutgoingRequest::new(&ClientKey::random(), &request, Lifetime::new(clock::now(), retention))
    }

    #[test]
    fn a_retention_past_the_end_of_time_ends_at_no_time_that_is_past() {
        let century = Duration::from_hours(100 * 365 * 24);
        for retention in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 63)] {
            let sending = sending(retention);
            assert!(sending.until() > clock::now() + century, "{retention:?}: {:?}", sending.until());
            assert!(!sending.lifetime.is_over(clock::now() + century));
        }
    }

    #[test]
    fn a_retention_that_time_can_tell_ends_when_it_says() {
        let until = sending(Duration::from_hours(1)).until();
        let left = until.duration_since(clock::now()).unwrap();
        assert!(left <= Duration::from_hours(1) && left > Duration::from_mins(50), "{left:?}");
    }
}
