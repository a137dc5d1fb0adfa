//! What a client is told when its request does not get its handler's answer: problem details of RFC 9457.
//!
//! | `code` | status | when | send it again? |
//! |---|---|---|---|
//! | `key_missing` | 400 | the key is required | with a key |
//! | `key_malformed` | 400 | the header holds no key | no |
//! | `key_reused` | 422 | the key belongs to another request | no |
//! | `in_flight` | 409, `Retry-After` | the first request is still running | after that time |
//! | `not_kept` | 409 | the first request ran to its end, and its answer could not be kept | no: look at what it did |
//! | `body_too_large` | 413 | the body is larger than the limit | no |
//! | `bodies_full` | 503, `Retry-After` | the bodies of other requests take all the room; nothing was run | after that time |
//! | `body_timeout` | 408 | the body did not arrive in time | yes |
//! | `body_incomplete` | 400 | the body broke off, or has another length than it said | yes |
//! | `scope` | the application's | the application gave no scope | |
//! | `route_unknown` | 500 | the layer stands where it cannot see the route | no: the server is put together wrongly |
//! | `store_unavailable` | 503, `Retry-After` | the store cannot answer; nothing was run | after that time |
//! | `store_full` | 503, `Retry-After` | the store has no room for a new key; nothing was run | after that time |
//! | `not_recorded` | 503, `Retry-After` | the handler ran, and nobody knows whether its answer is kept, or what it did | after that time |
//! | `record_unreadable` | 500 | what is stored for the key is no answer of this layer | no |
//! | `handler_failed` | 500 | the handler panicked | no |
//! | `busy` | 503, `Retry-After` | a limit inside did not let the request through in time; nothing was run | after that time |
//! | `handler_timeout` | 504 | the handler took longer than its time, and was dropped | no: look at what it did |
//! | `attempt_missing` | 500 | a handler asks for an attempt and its route has none | no |
//!
//! A call of gRPC has the code as `idempotency-problem`, and in capitals as the reason of an `ErrorInfo`. In place of
//! `Retry-After` it has `grpc-retry-pushback-ms` and a `RetryInfo`.
//!
//! `type` is the documentation page with the code as its fragment when a page is configured, else `about:blank`.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// The API's own page about idempotency keys.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) address: Box<str>,
    pub(crate) link: HeaderValue,
}

/// What went wrong, and what the client can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    KeyMissing,
    KeyMalformed,
    KeyReused,
    InFlight,
    NotKept,
    BodyTooLarge,
    BodiesFull,
    BodyTimeout,
    BodyIncomplete,
    Scope(StatusCode),
    RouteUnknown,
    StoreUnavailable,
    StoreFull,
    NotRecorded,
    RecordUnreadable,
    HandlerFailed,
    HandlerTimeout,
    Busy,
    #[cfg(feature = "axum")]
    AttemptMissing,
}

#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn retry_after(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    pub(crate) fn response(&self, page: Option<&Page>) -> Response<Bytes> {
        let status = self.kind.status();
        let body = Body {
            r#type: match page {
                Some(page) => format!("{}#{}", page.address, self.kind.code()).into(),
                None => Cow::Borrowed("about:blank"),
            },
            title: match page {
                Some(_) => self.kind.title(),
                // RFC 9457, section 4.2.1: a blank type has the status' own title.
                None => status.canonical_reason().unwrap_or_else(|| self.kind.title()),
            },
            status: status.as_u16(),
            detail: &self.detail,
            code: self.kind.code(),
        };
        // A struct of strings and a number always has a JSON form.
        let body = Bytes::from(serde_json::to_vec(&body).unwrap_or_default());
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LENGTH, length);
        if let Some(page) = page {
            headers.insert(LINK, page.link.clone());
        }
        if let Some(pause) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(pause)));
        }
        response
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: Cow<'a, str>,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Kind {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::KeyMissing => "key_missing",
            Self::KeyMalformed => "key_malformed",
            Self::KeyReused => "key_reused",
            Self::InFlight => "in_flight",
            Self::NotKept => "not_kept",
            Self::BodyTooLarge => "body_too_large",
            Self::BodiesFull => "bodies_full",
            Self::BodyTimeout => "body_timeout",
            Self::BodyIncomplete => "body_incomplete",
            Self::Scope(_) => "scope",
            Self::RouteUnknown => "route_unknown",
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreFull => "store_full",
            Self::NotRecorded => "not_recorded",
            Self::RecordUnreadable => "record_unreadable",
            Self::HandlerFailed => "handler_failed",
            Self::HandlerTimeout => "handler_timeout",
            Self::Busy => "busy",
            #[cfg(feature = "axum")]
            Self::AttemptMissing => "attempt_missing",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::KeyMissing => "The idempotency key is missing",
            Self::KeyMalformed => "The idempotency key is malformed",
            Self::KeyReused => "The idempotency key was used for another request",
            Self::InFlight => "The first request with this key is still running",
            Self::NotKept => "The answer to this key was not kept",
            Self::BodyTooLarge => "The body is too large",
            Self::BodiesFull => "The server holds too many bodies",
            Self::BodyTimeout => "The body did not arrive in time",
            Self::BodyIncomplete => "The body is incomplete",
            Self::Scope(_) => "The idempotency key has no scope",
            Self::RouteUnknown => "The route of the idempotency key is unknown",
            Self::StoreUnavailable => "Idempotency keys cannot be checked now",
            Self::StoreFull => "There is no room for a new idempotency key",
            Self::NotRecorded => "It is unknown whether the answer is kept",
            Self::RecordUnreadable => "The answer to this key cannot be read",
            Self::HandlerFailed => "The request failed",
            Self::HandlerTimeout => "The request took too long",
            Self::Busy => "The server is busy",
            #[cfg(feature = "axum")]
            Self::AttemptMissing => "The request has no attempt",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::KeyMissing | Self::KeyMalformed | Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::InFlight | Self::NotKept => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Scope(status) => status,
            Self::StoreUnavailable | Self::StoreFull | Self::NotRecorded | Self::Busy | Self::BodiesFull => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::HandlerTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RouteUnknown | Self::RecordUnreadable | Self::HandlerFailed => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            #[cfg(feature = "axum")]
            Self::AttemptMissing => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `Retry-After` counts in seconds, and a zero would say nothing.
fn whole_seconds(pause: Duration) -> u64 {
    pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0)).max(1)
}
