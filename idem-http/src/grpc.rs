//! Calls of gRPC: which the layer acts on, and what refuses them.
//!
//! HTTP does not say whether a call is unary or a stream: a message that nothing follows yet may be either. A stream that
//! the layer waits for never begins, and a unary call that it lets go runs twice. So the application names the methods.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::grpc_details::details;
use crate::problem::{Kind, Problem};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// How long a client's own retries are to wait (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// What is wrong, for clients that read `google.rpc.Status`.
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// The `code` that a problem of HTTP has.
const CODE: HeaderName = HeaderName::from_static("idempotency-problem");

/// Whether these are the headers of a call, or of its answer. Not of gRPC-Web, which has its trailers in the body.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The methods that take one message and answer with one.
#[derive(Debug, Default)]
pub(crate) struct UnaryMethods {
    paths: Vec<String>,
    /// Whether it was said that a call with a key was let go.
    is_told: AtomicBool,
}

impl UnaryMethods {
    pub(crate) fn new(paths: Vec<String>) -> Self {
        Self { paths, is_told: AtomicBool::new(false) }
    }

    /// Whether the application has said that it serves gRPC. If not, a client must not get past the layer by a header.
    pub(crate) fn are_named(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Whether `path` is one of them: by its name, or by that of its service and `*`.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.paths.iter().any(|named| match named.strip_suffix('*') {
            Some(service) => path.starts_with(service),
            None => path == named,
        })
    }

    /// One that names nothing: neither a method nor all of a service.
    pub(crate) fn misnamed(&self) -> Option<&str> {
        let is_path = |path: &str| {
            let parts: Vec<_> = path.split('/').collect();
            matches!(parts[..], ["", service, method]
                if !service.is_empty() && !service.contains('*')
                    && !method.is_empty() && (method == "*" || !method.contains('*')))
        };
        self.paths.iter().map(String::as_str).find(|path| !is_path(path))
    }

    /// Says once that a call goes to its handler without a lock.
    pub(crate) fn tell_of_unnamed(&self, path: &str) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path,
                "a gRPC call with an idempotency key goes to its handler without a lock: name its method by grpc_unary if \
                 it is unary"
            );
        }
    }
}

impl Clone for UnaryMethods {
    fn clone(&self) -> Self {
        Self::new(self.paths.clone())
    }
}

/// A problem as gRPC has it: Trailers-Only.
pub(crate) fn refusal(problem: &Problem) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let (status, code) = (status(problem.kind), problem.kind.code());
    headers.insert(STATUS, HeaderValue::from(status));
    headers.insert(CODE, HeaderValue::from_static(code));
    if let Ok(message) = HeaderValue::try_from(escaped(&problem.detail)) {
        headers.insert(MESSAGE, message);
    }
    if let Some(details) = details(status, &problem.detail, code, problem.retry_after) {
        headers.insert(DETAILS, details);
    }
    if let Some(pause) = problem.retry_after {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
        headers.insert(PUSHBACK, HeaderValue::from(pause));
    }
    response
}

/// Printable ASCII but `%` stays as it is.
fn escaped(message: &str) -> String {
    const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');
    utf8_percent_encode(message, ESCAPED).to_string()
}

fn status(kind: Kind) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const DEADLINE_EXCEEDED: u16 = 4;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const FAILED_PRECONDITION: u16 = 9;
    const ABORTED: u16 = 10;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    match kind {
        Kind::KeyMissing | Kind::KeyMalformed | Kind::BodyIncomplete => INVALID_ARGUMENT,
        Kind::KeyReused | Kind::NotKept => FAILED_PRECONDITION,
        Kind::InFlight => ABORTED,
        Kind::BodyTooLarge => RESOURCE_EXHAUSTED,
        Kind::BodyTimeout | Kind::HandlerTimeout => DEADLINE_EXCEEDED,
        Kind::StoreUnavailable | Kind::StoreFull | Kind::NotRecorded | Kind::Busy | Kind::BodiesFull => {
            UNAVAILABLE
        }
        Kind::RouteUnknown | Kind::RecordUnreadable | Kind::HandlerFailed => INTERNAL,
        #[cfg(feature = "axum")]
        Kind::AttemptMissing => INTERNAL,
        Kind::Scope(status) => of_http(status),
    }
}

/// What gRPC makes of a status of HTTP, and of what is the client's to mend.
fn of_http(status: StatusCode) -> u16 {
    match status.as_u16() {
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        400..500 => 3,
        502..=504 => 14,
        _ => 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_by_themselves_or_by_their_service() {
        let named = UnaryMethods::new(vec!["/pay.Pay/Charge".to_owned(), "/book.Books/*".to_owned()]);
        for (path, is_named) in [
            ("/pay.Pay/Charge", true),
            ("/pay.Pay/ChargeAll", false),
            ("/pay.Pay/Watch", false),
            ("/book.Books/Any", true),
            ("/book.BooksTwo/Any", false),
        ] {
            assert_eq!(named.contains(path), is_named, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_of_a_method_is_told() {
        for misnamed in ["pay.Pay/Charge", "/pay*", "/pay.Pay/", "/*", "/pay.Pay/Ch*", "", "//Charge"] {
            let named = UnaryMethods::new(vec!["/pay.Pay/*".to_owned(), misnamed.to_owned()]);
            assert_eq!(named.misnamed(), Some(misnamed));
        }
        assert_eq!(UnaryMethods::new(vec!["/pay.Pay/Charge".to_owned()]).misnamed(), None);
    }

    #[test]
    fn a_message_is_escaped_as_grpc_has_it() {
        assert_eq!(escaped("100 % ä\n"), "100 %25 %C3%A4%0A");
    }
}
