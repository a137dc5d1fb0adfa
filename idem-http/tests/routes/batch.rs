//! A batch endpoint: requests inside a request, each with a key of its own, under one layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::post as route;
use http::StatusCode;
use idem_http::{Attempt, OriginalUriLayer, OriginalUriService, RequestUri};
use tower::{Layer, Service};

use crate::support::{ask, builder, post};

/// Sends the parts with all extensions of the batch, as a handler does that does not know the extensions.
async fn batch(inner: Router, request: Request) -> String {
    let extensions = request.extensions().clone();
    let mut answers = Vec::new();
    for (uri, key) in
        [("/charge", "part-1"), ("/refund", "part-2"), ("/charge", "part-1"), ("/refund", "part-1")]
    {
        let mut part = post(uri, key);
        *part.extensions_mut() = extensions.clone();
        let answer = ask(&inner, part).await;
        answers.push(format!("{} {} {}", answer.status.as_u16(), answer.replayed, answer.text));
    }
    answers.join("; ")
}

/// The application, and how often it charged.
fn app() -> (OriginalUriService<Router>, Arc<AtomicUsize>) {
    let layer = builder().request_uri(RequestUri::Original).build().unwrap();
    let charges = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&charges);
    let charge = move || async move { format!("charge {}", counted.fetch_add(1, Ordering::SeqCst) + 1) };
    let parts = Router::new().route("/charge", route(charge)).route("/refund", route(|| async { "refund" }));
    let parts = parts.layer(layer.clone());
    let inner = parts.clone();
    let all = parts.route("/batch", route(move |request: Request| batch(inner, request)).layer(layer));
    (OriginalUriLayer::new().layer(all), charges)
}

#[tokio::test]
async fn each_part_of_a_batch_has_its_own_attempt() {
    let (service, charges) = app();
    let expected = "200 false charge 1; 200 false refund; 200 true charge 1; 422 false ";
    let first = ask(&service, post("/batch", "batch")).await;
    assert!(first.text.starts_with(expected), "{}", first.text);
    // The whole batch again, and once more under another key: its parts have run.
    assert!(ask(&service, post("/batch", "batch")).await.replayed);
    let other = ask(&service, post("/batch", "another")).await;
    assert!(other.text.starts_with("200 true charge 1; 200 true refund; "), "{}", other.text);
    assert_eq!(charges.load(Ordering::SeqCst), 1);
}

/// Only their own paths tell the parts apart: the URI in the extensions that they were given is the batch's.
#[tokio::test]
async fn parts_of_a_batch_that_has_no_attempt_are_told_apart() {
    let (service, charges) = app();
    let batch = Request::post("/batch").body(Body::empty()).unwrap();
    let answer = ask(&service, batch).await;
    assert!(
        answer.text.starts_with("200 false charge 1; 200 false refund; 200 true charge 1; 422 "),
        "{}",
        answer.text
    );
    assert_eq!(charges.load(Ordering::SeqCst), 1);
}

/// A request without a key is part of the enclosing attempt.
#[tokio::test]
async fn a_part_without_a_key_runs_in_the_attempt_around_it() {
    let layer =
        builder().request_uri(RequestUri::Original).key(idem_http::KeyRule::Required).build().unwrap();
    let number = |request: Request| async move {
        request.extensions().get::<Attempt>().map_or(0, Attempt::number).to_string()
    };
    let inner = Router::new().route("/part", route(number)).layer(layer.clone());
    let batch = move |request: Request| async move {
        let mut part = Request::post("/part").body(Body::empty()).unwrap();
        *part.extensions_mut() = request.extensions().clone();
        inner.clone().call(part).await
    };
    let service = OriginalUriLayer::new().layer(Router::new().route("/batch", route(batch)).layer(layer));
    let answer = ask(&service, post("/batch", "k")).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "1"));
}
