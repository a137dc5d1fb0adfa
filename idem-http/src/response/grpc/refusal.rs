//! A problem as an answer of gRPC.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::details::details;
use crate::response::problem::{Kind, Problem};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// How long a client's own retries are to wait (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// The problem, for clients that read `google.rpc.Status`.
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// The `code` of the problem.
const CODE: HeaderName = HeaderName::from_static("idempotency-problem");

/// A Trailers-Only answer.
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

/// Printable ASCII other than `%` stays as it is.
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
        Kind::Scope(status) => status_of_http(status),
    }
}

/// Maps a status of HTTP as gRPC does, except that other client errors are `INVALID_ARGUMENT`.
fn status_of_http(status: StatusCode) -> u16 {
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
    fn a_message_is_percent_encoded() {
        assert_eq!(escaped("100 % ä\n"), "100 %25 %C3%A4%0A");
    }
}
