//! Which answers are kept: the verdicts, and what a handler can say of its own answer.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::{Extensions, StatusCode};

use crate::response::grpc::content_type::is_grpc;

/// The header by which an answer says that the request was not executed: the key is released, so that a retry runs the
/// handler again. It is obeyed, and removed, only where
/// [`not_executed_header`](crate::IdempotencyLayerBuilder::not_executed_header) says so. In Rust, [`NotExecuted`] says
/// the same.
pub const NOT_EXECUTED: HeaderName = HeaderName::from_static("idempotency-not-executed");

/// An extension of a handler's answer that says: the request was not executed. The key is released, whatever the
/// verdict says, so that a retry runs the handler again.
///
/// ```
/// use axum::Extension;
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use idem_http::NotExecuted;
///
/// async fn handler() -> impl IntoResponse {
///     (StatusCode::LOCKED, Extension(NotExecuted), "come again after the audit")
/// }
/// ```
///
/// An error type can say so once for all handlers. With the feature `axum`, `NotExecuted` is itself a part of an answer:
///
/// ```
/// # #[cfg(feature = "axum")]
/// # mod error {
/// use axum::http::StatusCode;
/// use axum::response::{IntoResponse, Response};
/// use idem_http::NotExecuted;
///
/// enum Failure {
///     /// The first thing that every handler checks.
///     Forbidden,
///     /// Nobody knows what was done.
///     Database,
/// }
///
/// impl IntoResponse for Failure {
///     fn into_response(self) -> Response {
///         match self {
///             Self::Forbidden => (StatusCode::FORBIDDEN, NotExecuted, "not yours").into_response(),
///             Self::Database => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
///         }
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotExecuted;

/// An extension of a handler's answer that says: the handler sent the completion of its key itself and does not know
/// whether it was written. The layer answers from the record, and neither releases nor completes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InDoubt;

/// Media types of answers that have no known end.
const STREAMS: [&[u8]; 6] = [
    b"text/event-stream",
    b"application/x-ndjson",
    b"application/ndjson",
    b"application/jsonl",
    b"application/json-seq",
    b"multipart/x-mixed-replace",
];

/// What becomes of a handler's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The answer is the key's: every retry gets it, for the [`retention`](crate::IdempotencyLayerBuilder::retention).
    Keep,
    /// The answer is the key's for this time from now: a refusal for an hour, say, and a payment for a month. From 1 ms
    /// to 3,660 days, and at least to the end of the lease; a time outside these limits counts as the nearest one
    /// within.
    KeepFor(Duration),
    /// Nothing was executed: the key is released, and a retry runs the handler again.
    Release,
    /// The request was executed and its answer must not be kept (it is a stream, or secret): a retry is told so, and
    /// never runs the handler again. The answer is not buffered.
    DoNotKeep,
}

/// A handler's answer as a verdict sees it: before the body is read, and once more after the body when there are
/// trailers.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) extensions: &'a Extensions,
    pub(crate) trailers: Option<&'a HeaderMap>,
}

impl<'a> ResponseHead<'a> {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions that the handler added to the answer.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The trailers of the answer, once the body has been read.
    #[must_use]
    pub fn trailers(&self) -> Option<&'a HeaderMap> {
        self.trailers
    }

    /// The status of a gRPC call, from the trailers or, in an answer without a body, from the headers.
    #[must_use]
    pub fn grpc_status(&self) -> Option<u32> {
        let field = self.trailers.into_iter().chain([self.headers]).find_map(|map| map.get("grpc-status"));
        let digits = field.filter(|_| is_grpc(self.headers))?.to_str().ok()?;
        // `parse` would also accept a sign.
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    }

    /// The default verdict: 429 and 503 release the key, and so do `RESOURCE_EXHAUSTED` (8) and `UNAVAILABLE` (14) of
    /// gRPC; a stream (of events, of lines of JSON) is not kept; everything else is, success or error.
    #[must_use]
    pub fn standard_verdict(&self) -> Verdict {
        const RESOURCE_EXHAUSTED: u32 = 8;
        const UNAVAILABLE: u32 = 14;
        let refused = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if refused || matches!(self.grpc_status(), Some(RESOURCE_EXHAUSTED | UNAVAILABLE)) {
            return Verdict::Release;
        }
        let is_stream = |value: &http::HeaderValue| {
            let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            STREAMS.iter().any(|stream| essence.trim_ascii().eq_ignore_ascii_case(stream))
        };
        if self.headers.get(CONTENT_TYPE).is_some_and(is_stream) { Verdict::DoNotKeep } else { Verdict::Keep }
    }

    /// Whether the handler itself says that nothing was executed, which overrides any verdict.
    pub(crate) fn is_not_executed(&self, by_header: bool) -> bool {
        self.extensions.get::<NotExecuted>().is_some() || by_header && self.headers.contains_key(NOT_EXECUTED)
    }
}
