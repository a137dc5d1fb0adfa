//! The first request is processed; a retry gets its result, or learns why not.

use axum::body::Body;
use http::{Request, StatusCode};
use idem_http::{KeyRule, WhenInFlight};
use std::time::Duration;

use crate::support::{App, Calls, Gate, post, problem_code};

fn counting(calls: &Calls) -> impl axum::handler::Handler<((),), ()> {
    let calls = calls.clone();
    move || async move { format!("answer {}", calls.add()) }
}

#[tokio::test]
async fn a_retry_gets_the_result_of_the_first() {
    let calls = Calls::default();
    let app = App::new(counting(&calls));
    let first = app.ask(post("k", "body")).await;
    let retry = app.ask(post("k", "body")).await;
    assert_eq!((first.text(), retry.text()), ("answer 1", "answer 1"));
    assert_eq!((first.is_replayed(), retry.is_replayed()), (false, true));
    assert_eq!(app.ask(post("other", "body")).await.text(), "answer 2");
}

#[tokio::test]
async fn an_error_is_a_result_too() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        counted.add();
        (StatusCode::INTERNAL_SERVER_ERROR, "no")
    };
    let app = App::new(handler);
    let first = app.ask(post("k", "body")).await;
    let retry = app.ask(post("k", "body")).await;
    assert_eq!((retry.status, retry.text()), (StatusCode::INTERNAL_SERVER_ERROR, "no"));
    assert_eq!(first.content(), retry.content());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn without_a_key_every_request_is_processed() {
    let calls = Calls::default();
    let app = App::new(counting(&calls));
    let request = || Request::post("/").body(Body::from("body")).unwrap();
    assert_eq!(app.ask(request()).await.text(), "answer 1");
    assert_eq!(app.ask(request()).await.text(), "answer 2");
}

#[tokio::test]
async fn a_required_key_that_is_missing_is_400() {
    let calls = Calls::default();
    let app = App::with(counting(&calls), |builder| builder.key(KeyRule::Required));
    let reply = app.ask(Request::post("/").body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status, problem_code(&reply).as_str()), (StatusCode::BAD_REQUEST, "key_missing"));
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_key_reused_for_another_payload_is_422() {
    let calls = Calls::default();
    let app = App::new(counting(&calls));
    app.ask(post("k", "one")).await;
    let reply = app.ask(post("k", "two")).await;
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "key_reused")
    );
    assert_eq!(app.ask(post("k", "one")).await.text(), "answer 1", "the first answer stays");
}

fn gated(gate: &Gate, calls: &Calls) -> impl axum::handler::Handler<((),), ()> {
    let (gate, calls) = (gate.clone(), calls.clone());
    move || async move {
        let call = calls.add();
        gate.pass().await;
        format!("answer {call}")
    }
}

#[tokio::test]
async fn a_retry_during_the_first_is_409_with_retry_after() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let app = App::new(gated(&gate, &calls));
    let (first, ()) = tokio::join!(app.ask(post("k", "body")), async {
        gate.entered().await;
        let retry = app.ask(post("k", "body")).await;
        assert_eq!((retry.status, problem_code(&retry).as_str()), (StatusCode::CONFLICT, "in_flight"));
        assert_eq!(retry.retry_after(), Some(1));
        let other = app.ask(post("k", "another body")).await;
        assert_eq!(problem_code(&other), "key_reused", "also while the first is in flight");
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
        gate.open();
    });
    assert_eq!(first.text(), "answer 1");
    assert!(app.ask(post("k", "body")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn by_policy_a_retry_waits_for_the_result() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let wait = WhenInFlight::Wait(Duration::from_mins(1));
    let app = App::with(gated(&gate, &calls), |builder| builder.when_in_flight(wait));
    let retry = async {
        gate.entered().await;
        let mut retry = std::pin::pin!(app.ask(post("k", "body")));
        // The retry waits: it was sent, and is not answered.
        assert!(poll_once(retry.as_mut()).await.is_none());
        gate.open();
        retry.await
    };
    let (first, retry) = tokio::join!(app.ask(post("k", "body")), retry);
    assert_eq!((first.text(), retry.text()), ("answer 1", "answer 1"));
    assert!(retry.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_wait_that_was_too_short_ends_in_409() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let wait = WhenInFlight::Wait(Duration::from_millis(20));
    let app = App::with(gated(&gate, &calls), |builder| builder.when_in_flight(wait));
    let (_first, ()) = tokio::join!(app.ask(post("k", "body")), async {
        gate.entered().await;
        let retry = app.ask(post("k", "body")).await;
        assert_eq!((retry.status, problem_code(&retry).as_str()), (StatusCode::CONFLICT, "in_flight"));
        gate.open();
    });
    assert_eq!(calls.count(), 1);
}

/// Polls once; `None` when it is not ready.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
