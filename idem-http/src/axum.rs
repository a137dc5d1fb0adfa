//! Extractors for axum.

use std::convert::Infallible;

use ::axum::body::Body;
use ::axum::extract::{FromRequestParts, OptionalFromRequestParts};
use ::axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::attempt::Attempt;
use crate::key::IdempotencyKey;
use crate::problem::{Kind, Problem};

/// A handler asks for its attempt, and its request has none: the route is not under the layer, its method is not
/// one that the layer acts on, the key is optional and was not sent, or the request was let through while the
/// store failed. `Option<Attempt>` takes all of these.
#[derive(Debug, Clone, Copy)]
pub struct AttemptMissing;

impl IntoResponse for AttemptMissing {
    fn into_response(self) -> Response {
        tracing::error!("a handler asks for an attempt and its request has none");
        let detail = "the server expected an idempotency key here";
        Problem::new(Kind::AttemptMissing, detail).response(None).map(Body::from)
    }
}

impl std::fmt::Display for AttemptMissing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request has no attempt")
    }
}

impl std::error::Error for AttemptMissing {}

impl<S: Send + Sync> FromRequestParts<S> for Attempt {
    type Rejection = AttemptMissing;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, AttemptMissing> {
        parts.extensions.get().cloned().ok_or(AttemptMissing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Attempt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = AttemptMissing;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, AttemptMissing> {
        key(parts).ok_or(AttemptMissing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(key(parts))
    }
}

fn key(parts: &Parts) -> Option<IdempotencyKey> {
    parts.extensions.get::<Attempt>().map(|attempt| attempt.client_key().clone())
}
