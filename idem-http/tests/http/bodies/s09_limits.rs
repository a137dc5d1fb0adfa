//! The bodies of requests and of answers have limits. An answer past its limit still reaches the first client whole.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use http_body::SizeHint;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{App, Calls, Client, Gate, Server, channel, channel_of, post, problem_code, repeated};

fn echo(calls: &Calls, limit: usize) -> App {
    let calls = calls.clone();
    let handler = move |body: String| async move {
        calls.add();
        body
    };
    App::with(handler, |builder| builder.max_body(limit))
}

#[tokio::test]
async fn a_length_past_the_limit_is_413_before_the_body_is_asked_for() {
    let calls = Calls::default();
    let server = Server::start(echo(&calls, 1000).router).await;
    let mut raw = server.raw().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nExpect: 100-continue\r\n";
    raw.send(format!("{head}Content-Length: 1001\r\n\r\n")).await;
    let answer = raw.receive_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "no 100 came first: {answer}");
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_body_without_a_length_is_413_at_the_limit() {
    let calls = Calls::default();
    let server = Server::start(echo(&calls, 1000).router).await;
    let chunked = |len: usize| repeated("0123456789", len / 10);
    let fits = Client::http1(&server).await.ask(post("fits", chunked(1000))).await;
    assert_eq!((fits.status, fits.body.len()), (StatusCode::OK, 1000));
    let reply = Client::http1(&server).await.ask(post("k", chunked(1010))).await;
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
    );
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_request_without_a_key_has_no_limit_here() {
    let calls = Calls::default();
    let request = Request::post("/").body(Body::from(vec![b'x'; 5000])).unwrap();
    assert_eq!(echo(&calls, 1000).ask(request).await.body.len(), 5000);
}

#[tokio::test]
async fn an_outer_limit_is_413_too() {
    let calls = Calls::default();
    let app = echo(&calls, 1000);
    let limited = http_body_util::Limited::new(repeated("0123456789", 20), 100);
    let reply = app.ask(post("k", Body::new(limited))).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn an_answer_past_the_cap_arrives_whole_and_is_not_kept() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        counted.add();
        repeated("0123456789", 500)
    };
    let app = App::with(handler, |builder| builder.max_response(1000));
    let server = Server::start(app.router).await;
    let mut client = Client::http1(&server).await;
    let first = client.ask(post("k", "")).await;
    assert_eq!((first.status, first.text()), (StatusCode::OK, "0123456789".repeat(500).as_str()));
    let retry = client.ask(post("k", "")).await;
    assert_eq!((retry.status, problem_code(&retry).as_str()), (StatusCode::CONFLICT, "not_kept"));
    assert!(retry.retry_after().is_none() && retry.text().contains("too large to be kept"), "{retry:?}");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn an_answer_past_the_cap_is_logged() {
    let logged = Logged::default();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(logged.clone()));
    let app = App::with(|| async { "x".repeat(1001) }, |builder| builder.max_response(1000));
    app.ask(post("k", "")).await;
    let logged = logged.0.lock().unwrap();
    assert!(
        logged.iter().any(|line| line.contains("max_response") && line.contains("most=1000")),
        "{logged:?}"
    );
}

/// The warnings in the log.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Logged {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            let mut line = String::new();
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                write!(line, "{field}={value:?} ").unwrap();
            });
            self.0.lock().unwrap().push(line);
        }
    }
}

/// The handler sends the head before any of the body.
#[tokio::test(start_paused = true)]
async fn an_answer_of_a_known_length_past_the_cap_is_not_waited_for() {
    let gate = Gate::new();
    let held = gate.clone();
    let handler = move || async move {
        let (body, sender) = channel_of(SizeHint::with_exact(1004));
        tokio::spawn(async move {
            held.pass().await;
            for _ in 0..251 {
                sender.send("four");
            }
        });
        Response::new(body)
    };
    let app = App::with(handler, |builder| builder.max_response(1000));
    let before = Instant::now();
    let first = app.router.clone().oneshot(post("k", "")).await.unwrap();
    assert!(before.elapsed().is_zero());
    assert_eq!(first.headers()["content-length"], "1004");
    gate.open();
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes().len(), 1004);
    assert!(app.ask(post("k", "")).await.text().contains("too large to be kept"));
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_buffered_to_the_cap_and_then_sent_as_it_comes() {
    let handler = || async { Response::new(repeated("0123456789", usize::MAX)) };
    let app = App::with(handler, |builder| builder.max_response(1000));
    let mut body = app.router.clone().oneshot(post("k", "")).await.unwrap().into_body();
    let mut read = Vec::new();
    while read.len() < 5000 {
        read.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    assert_eq!(read, "0123456789".repeat(500).as_bytes());
    assert!(app.ask(post("k", "")).await.text().contains("too large to be kept"));
}

#[tokio::test]
async fn an_answer_as_long_as_the_cap_is_kept() {
    let app = App::with(|| async { vec![b'x'; 1000] }, |builder| builder.max_response(1000));
    app.ask(post("k", "")).await;
    assert!(app.ask(post("k", "")).await.is_replayed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_past_the_time_limit_is_recorded_first_and_then_sent_as_it_comes() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let (held, counted) = (gate.clone(), calls.clone());
    let handler = move || async move {
        counted.add();
        let (body, sender) = channel();
        sender.send("begun, ");
        tokio::spawn(async move {
            held.pass().await;
            sender.send("ended");
        });
        Response::new(body)
    };
    let app = App::with(handler, |builder| builder.response_timeout(Duration::from_secs(3)));
    let first = app.router.clone().oneshot(post("k", "")).await.unwrap();
    let retry = app.ask(post("k", "")).await;
    assert_eq!(problem_code(&retry), "not_kept", "while the first is still being sent");
    assert!(retry.text().contains("streamed"), "{retry:?}");
    gate.open();
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), "begun, ended");
    assert_eq!(calls.count(), 1);
}

/// Otherwise a stream would send nothing for as long as an answer with a declared length may take.
#[tokio::test(start_paused = true)]
async fn an_answer_without_a_length_flows_after_a_moment_and_one_with_a_length_is_waited_for() {
    for (hint, seconds) in [(SizeHint::default(), 1), (SizeHint::with_exact(10), 10)] {
        let senders = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&senders);
        let handler = move || async move {
            let (body, sender) = channel_of(hint);
            sender.send("begun");
            kept.lock().unwrap().push(sender);
            Response::new(body)
        };
        let app = App::new(handler);
        let begun = Instant::now();
        let first = app.router.clone().oneshot(post("k", "")).await.unwrap();
        let frame = first.into_body().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "begun");
        assert_eq!(begun.elapsed().as_secs(), seconds);
        assert!(app.ask(post("k", "")).await.text().contains("streamed"));
    }
}

/// Empty pieces fill no buffer, and are always ready.
#[tokio::test]
async fn an_endless_answer_of_empty_pieces_meets_the_time_limit() {
    let handler = || async { Response::new(repeated("", usize::MAX)) };
    let app = App::with(handler, |builder| builder.response_timeout(Duration::from_millis(50)));
    let first =
        tokio::time::timeout(Duration::from_secs(10), app.router.clone().oneshot(post("k", ""))).await;
    assert!(first.is_ok(), "the layer waited for the end of the answer");
    let retry = app.ask(post("k", "")).await;
    assert!(retry.text().contains("streamed"), "{retry:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_its_client_and_is_not_kept() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move {
        counted.add();
        let (body, sender) = channel();
        sender.send("half");
        sender.break_off();
        Response::new(body)
    };
    let app = App::new(handler);
    let mut body = app.router.clone().oneshot(post("k", "")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "not_kept");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn an_answer_too_large_for_the_store_arrives_and_is_not_kept() {
    let mut config = idem_moka::MokaConfig::default();
    config.max_outcome = 100;
    let store = Arc::new(idem_moka::MokaStore::new(config).unwrap());
    let app = App::over(store, || async { vec![b'x'; 500] }, |builder| builder);
    assert_eq!(app.ask(post("k", "")).await.body.len(), 500);
    assert_eq!(problem_code(&app.ask(post("k", "")).await), "not_kept");
}
