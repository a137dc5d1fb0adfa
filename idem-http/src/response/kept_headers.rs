//! Which headers of an answer are kept for its retries.

use std::collections::HashSet;

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Headers of one connection or one message: never kept, whatever the lists say. `Trailer` is not among them: over
/// HTTP/1.1, trailers are sent only when it names them.
fn belongs_to_message(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "date"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Headers whose meaning is fixed by HTTP or gRPC: the layer's own headers cannot have their names.
pub(crate) fn is_reserved(name: &str) -> bool {
    belongs_to_message(name)
        || is_grpc_status(name)
        || matches!(name, "content-type" | "content-encoding" | "trailer")
}

/// Headers of one caller or one request: kept only when the application asks for them.
fn belongs_to_caller(name: &str) -> bool {
    let is_named = matches!(
        name,
        "access-token"
            | "age"
            | "authentication-info"
            | "authorization"
            | "b3"
            | "baggage"
            | "clear-site-data"
            | "cookie"
            | "dpop-nonce"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "ratelimit"
            | "refresh-token"
            | "server-timing"
            | "set-cookie"
            | "set-cookie2"
            | "traceparent"
            | "traceresponse"
            | "tracestate"
            | "x-access-token"
            | "x-amz-security-token"
            | "x-amzn-trace-id"
            | "x-api-key"
            | "x-auth-token"
            | "x-cloud-trace-context"
            | "x-correlation-id"
            | "x-csrf-token"
            | "x-csrftoken"
            | "x-id-token"
            | "x-refresh-token"
            | "x-request-id"
            | "x-session-id"
            | "x-session-token"
            | "x-subject-token"
            | "x-xsrf-token"
    );
    is_named || CALLER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Names with these prefixes belong to one caller, too.
const CALLER_PREFIXES: [&str; 4] = ["x-b3-", "ratelimit-", "x-ratelimit-", "x-rate-limit-"];

/// The status of a call of gRPC: always kept.
fn is_grpc_status(name: &str) -> bool {
    matches!(name, "grpc-status" | "grpc-message" | "grpc-status-details-bin")
}

/// A field of a header.
type Field<'a> = (&'a HeaderName, &'a HeaderValue);

/// Few answers have more fields: up to this many need no allocation.
const USUAL_FIELDS: usize = 16;

/// Which headers (and trailers) of an answer its retries get as well.
///
/// By default all are kept except those of one connection (`Connection` and what it names, `Transfer-Encoding`, ...),
/// `Date` and `Content-Length`, which a replay sets anew, cookies and credentials (`Authorization`, `X-Auth-Token`,
/// `X-CSRF-Token` and their like), those that hold only for a moment (`RateLimit-*`, `Age`, `Clear-Site-Data`), and
/// those of one trace (`traceparent`, `x-request-id`, `x-b3-*`, ...). A value that is [marked
/// sensitive](HeaderValue::set_sensitive) is never kept.
///
/// ```
/// use http::HeaderName;
/// use idem_http::KeptHeaders;
///
/// let all_but_one = KeptHeaders::new().without([HeaderName::from_static("x-served-by")]);
/// let these_only = KeptHeaders::only([http::header::CONTENT_TYPE, http::header::LOCATION]);
/// # let _ = (all_but_one, these_only);
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeptHeaders {
    only: Option<HashSet<HeaderName>>,
    // Vectors, since a few names are faster compared than hashed.
    also: Vec<HeaderName>,
    without: Vec<HeaderName>,
}

impl KeptHeaders {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps these and no others.
    pub fn only(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { only: Some(names.into_iter().collect()), ..Self::default() }
    }

    /// Also keeps these, although they belong to one caller: `Set-Cookie`, say. Those of one connection are never kept.
    #[must_use]
    pub fn also(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.also.extend(names);
        self
    }

    /// Does not keep these.
    #[must_use]
    pub fn without(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.without.extend(names);
        self
    }

    /// The fields of `headers` that are kept, each value of a name by itself and in order.
    pub(crate) fn of<'a>(&self, headers: &'a HeaderMap) -> SmallVec<[Field<'a>; USUAL_FIELDS]> {
        let named = named_by_connection(headers);
        headers
            .iter()
            .filter(|(name, value)| self.keeps(name) && !named.contains(*name) && !value.is_sensitive())
            .collect()
    }

    fn keeps(&self, name: &HeaderName) -> bool {
        if belongs_to_message(name.as_str()) || self.without.contains(name) {
            return false;
        }
        // A call of gRPC fails without its status.
        if is_grpc_status(name.as_str()) || self.also.contains(name) {
            return true;
        }
        match &self.only {
            Some(only) => only.contains(name),
            None => !belongs_to_caller(name.as_str()),
        }
    }
}

/// The headers that `Connection` names belong to that connection, too (RFC 9110, section 7.6.1).
fn named_by_connection(headers: &HeaderMap) -> HashSet<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use http::header::{DATE, SET_COOKIE, TRANSFER_ENCODING};

    use super::*;

    fn kept(policy: &KeptHeaders, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        policy.of(&map).into_iter().map(|(name, value)| format!("{name}: {value:?}")).collect()
    }

    const HEADERS: [(&str, &str); 8] = [
        ("content-type", "text/plain"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("set-cookie", "session=1"),
        ("x-b3-traceid", "7"),
        ("link", "a"),
        ("link", "b"),
        ("date", "today"),
    ];

    #[test]
    fn headers_of_one_connection_caller_or_trace_are_left_out() {
        let kept = kept(&KeptHeaders::new(), &HEADERS);
        assert_eq!(kept, ["content-type: \"text/plain\"", "link: \"a\"", "link: \"b\""]);
    }

    #[test]
    fn lists_change_what_is_kept_but_never_keep_headers_of_a_connection() {
        let also = KeptHeaders::new().also([SET_COOKIE, CONNECTION, DATE]).without([http::header::LINK]);
        assert_eq!(kept(&also, &HEADERS), ["content-type: \"text/plain\"", "set-cookie: \"session=1\""]);
        let only = KeptHeaders::only([http::header::LINK, TRANSFER_ENCODING]);
        assert_eq!(kept(&only, &HEADERS), ["link: \"a\"", "link: \"b\""]);
    }

    #[test]
    fn headers_of_one_caller_or_one_moment_are_left_out() {
        let headers = [
            ("x-auth-token", "1"),
            ("x-csrf-token", "1"),
            ("x-api-key", "1"),
            ("ratelimit-remaining", "1"),
            ("x-ratelimit-reset", "1"),
            ("ratelimit", "\"default\";r=50;t=30"),
            ("age", "1"),
            ("clear-site-data", "\"cookies\""),
            ("x-own", "1"),
        ];
        assert_eq!(kept(&KeptHeaders::new(), &headers), ["x-own: \"1\""]);
    }

    #[test]
    fn a_sensitive_value_is_not_kept() {
        let mut secret = HeaderValue::from_static("token");
        secret.set_sensitive(true);
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-token"), secret)]);
        assert!(KeptHeaders::new().of(&headers).is_empty());
    }
}
