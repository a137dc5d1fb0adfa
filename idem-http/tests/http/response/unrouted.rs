//! A router's own 404 and 405 do not come from a handler: nothing ran, so nothing is kept.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::post as route;
use http::{Method, Request, StatusCode};
use idem_core::{Scope, Store};
use idem_http::{IdempotencyLayer, RequestUri};
use idem_moka::{MokaConfig, MokaStore};
use std::sync::Arc;

use crate::support::ask;

fn app(routes: Router) -> (MokaStore, Router) {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let pointer: Arc<dyn Store> = Arc::new(store.clone());
    let builder = IdempotencyLayer::builder(pointer, |_| Ok(Scope::shared()));
    (store, routes.layer(builder.request_uri(RequestUri::Original).build().unwrap()))
}

async fn status(router: &Router, method: Method, uri: &str) -> StatusCode {
    let request = Request::builder().method(method).uri(uri).header("idempotency-key", "k");
    ask(router, request.body(Body::empty()).unwrap()).await.status
}

#[tokio::test]
async fn a_path_without_a_handler_leaves_nothing() {
    let (store, router) = app(Router::new().route("/pay", route(|| async { "paid" })));
    assert_eq!(status(&router, Method::POST, "/nope").await, StatusCode::NOT_FOUND);
    assert_eq!(status(&router, Method::PATCH, "/pay").await, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(store.stats().completed + store.stats().locks, 0);
    // The key is free.
    assert_eq!(status(&router, Method::POST, "/pay").await, StatusCode::OK);
    assert_eq!(store.stats().completed, 1);
}

/// Whatever the handler answers, it may have done something.
#[tokio::test]
async fn what_a_handler_answers_is_kept() {
    let answers: [fn() -> Response; 2] = [
        || StatusCode::NOT_FOUND.into_response(),
        || (StatusCode::METHOD_NOT_ALLOWED, "not this one").into_response(),
    ];
    for answer in answers {
        let (store, router) = app(Router::new().route("/pay", route(move || async move { answer() })));
        status(&router, Method::POST, "/pay").await;
        assert_eq!(store.stats().completed, 1);
    }
}

/// A fallback of the application is a handler like any other.
#[tokio::test]
async fn what_the_applications_fallback_answers_is_kept() {
    for answered in [StatusCode::OK, StatusCode::NOT_FOUND] {
        let (store, router) = app(Router::new().fallback(move || async move { (answered, "of ours") }));
        assert_eq!(status(&router, Method::POST, "/any").await, answered);
        assert_eq!(store.stats().completed, 1, "{answered}");
    }
}
