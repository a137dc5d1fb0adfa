//! Extractors for axum.

use std::convert::Infallible;
use std::time::Duration;

use ::axum::body::Body;
use ::axum::extract::{FromRequestParts, OptionalFromRequestParts};
use ::axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use http::request::Parts;

use crate::execution::attempt::{Attempt, NoAttempt};
use crate::request::key::IdempotencyKey;
use crate::response::problem::{Kind, Problem};
use crate::response::verdict::{InDoubt, NotExecuted};

/// The rejection of the extractors [`Attempt`] and [`IdempotencyKey`]: the request has no attempt. It is answered with
/// 400 when the key is optional and was not sent, with 503 when the request was let through while the store failed, and
/// otherwise with 500: the route is not under the layer, or the layer does not act on its method. `Option<Attempt>`
/// accepts all of these.
#[derive(Debug, Clone, Copy)]
pub struct AttemptMissing(Option<NoAttempt>);

impl AttemptMissing {
    fn of(parts: &Parts) -> Self {
        Self(parts.extensions.get().copied())
    }
}

impl IntoResponse for AttemptMissing {
    fn into_response(self) -> Response {
        let problem = match self.0 {
            Some(NoAttempt::WithoutKey) => {
                Problem::new(Kind::KeyMissing, "this operation needs an idempotency key")
            }
            Some(NoAttempt::StoreFailed) => {
                let detail = "idempotency keys cannot be checked at the moment";
                Problem::new(Kind::StoreUnavailable, detail).retry_after(Duration::from_secs(1))
            }
            None => {
                tracing::error!("a handler asks for an attempt, and no idempotency layer acts on its route");
                Problem::new(Kind::AttemptMissing, "the server expected an idempotency key here")
            }
        };
        problem.response(None).map(Body::from)
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
        parts.extensions.get().cloned().ok_or_else(|| AttemptMissing::of(parts))
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
        key(parts).ok_or_else(|| AttemptMissing::of(parts))
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

impl IntoResponseParts for NotExecuted {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

impl IntoResponseParts for InDoubt {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}
