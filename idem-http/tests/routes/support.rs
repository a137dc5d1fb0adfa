//! A layer over a store in memory, and sending requests.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use idem_core::Scope;
use idem_http::{IdempotencyLayer, IdempotencyLayerBuilder};
use idem_moka::{MokaConfig, MokaStore};
use tower::{Service, ServiceExt};

pub(crate) fn builder() -> IdempotencyLayerBuilder {
    let store = Arc::new(MokaStore::new(MokaConfig::default()).unwrap());
    IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
}

pub(crate) fn post(uri: &str, key: &str) -> Request<Body> {
    Request::post(uri).header("idempotency-key", key).body(Body::empty()).unwrap()
}

/// An answer: its status, whether it is a replay, and its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) replayed: bool,
    pub(crate) text: String,
}

pub(crate) async fn ask<S, RB>(service: &S, request: Request<Body>) -> Answer
where
    S: Service<Request<Body>, Response = http::Response<RB>> + Clone,
    S::Error: std::fmt::Debug,
    RB: http_body::Body,
    RB::Error: std::fmt::Debug,
{
    let answer = service.clone().oneshot(request).await.unwrap();
    let (status, replayed) = (answer.status(), answer.headers().contains_key("idempotency-replayed"));
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    Answer { status, replayed, text: String::from_utf8(text.to_vec()).unwrap() }
}
