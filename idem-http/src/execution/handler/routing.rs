//! Whether an answer is a router's own, to a request for which it has no handler: then nothing ran.
//!
//! An application's fallback may be a handler like any other, so that no request is exempt beforehand. An answer counts as
//! the router's own only when a handler would hardly give it: at once, without a body, and without `Content-Type`.

use http::header::CONTENT_TYPE;
use http::{Extensions, StatusCode, response};

/// What is known, before the call, of whether a request has a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// A router chose a route for it; whether that takes its method is not known.
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "no router is known"))]
    ToARoute,
    /// No route of the router fits.
    ToAFallback,
    /// No router that the layer knows has seen it.
    Unknown,
}

impl Routed {
    #[cfg(feature = "axum")]
    pub(crate) fn of(request: &Extensions) -> Self {
        use axum::extract::{MatchedPath, OriginalUri};

        if request.get::<MatchedPath>().is_some() {
            Self::ToARoute
        } else if request.get::<OriginalUri>().is_some() {
            Self::ToAFallback
        } else {
            Self::Unknown
        }
    }

    #[cfg(not(feature = "axum"))]
    pub(crate) fn of(_: &Extensions) -> Self {
        Self::Unknown
    }

    /// Whether this answer to it, with or without a body, is the router's own.
    pub(crate) fn is_answered_by_router(self, answer: &response::Parts, has_body: bool) -> bool {
        let is_empty = !has_body && !answer.headers.contains_key(CONTENT_TYPE);
        is_empty
            && match answer.status {
                StatusCode::NOT_FOUND => self == Self::ToAFallback,
                // axum puts its `Allow` on further outside.
                StatusCode::METHOD_NOT_ALLOWED => self != Self::Unknown,
                _ => false,
            }
    }
}
