//! Whether an answer is a router's own, to a request for which it has no handler: then nothing ran.
//!
//! An application's fallback may be a handler like any other, so no request is exempt in advance. An answer counts as the
//! router's own only if a handler is unlikely to give it: at once, without a body, and without `Content-Type`.

use http::header::CONTENT_TYPE;
use http::{Extensions, StatusCode, response};

/// What is known, before the call, of whether a request has a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// A router found a route for the request; whether the route takes its method is not known.
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "no router is known"))]
    ToRoute,
    /// No route of the router fits.
    ToFallback,
    /// No router that the layer knows has seen the request.
    Unknown,
}

impl Routed {
    #[cfg(feature = "axum")]
    pub(crate) fn of(request: &Extensions) -> Self {
        use axum::extract::{MatchedPath, OriginalUri};

        if request.get::<MatchedPath>().is_some() {
            Self::ToRoute
        } else if request.get::<OriginalUri>().is_some() {
            Self::ToFallback
        } else {
            Self::Unknown
        }
    }

    #[cfg(not(feature = "axum"))]
    pub(crate) fn of(_: &Extensions) -> Self {
        Self::Unknown
    }

    /// Whether this answer, with or without a body, is the router's own.
    pub(crate) fn is_answered_by_router(self, answer: &response::Parts, has_body: bool) -> bool {
        let is_empty = !has_body && !answer.headers.contains_key(CONTENT_TYPE);
        is_empty
            && match answer.status {
                StatusCode::NOT_FOUND => self == Self::ToFallback,
                // `Allow` proves nothing: axum adds it further outside.
                StatusCode::METHOD_NOT_ALLOWED => self != Self::Unknown,
                _ => false,
            }
    }
}
