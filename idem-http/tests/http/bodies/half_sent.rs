//! Bodies that are still arriving, or whose requests wait, hold no more memory than the bound for all bodies.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::SizeHint;
use http_body_util::BodyExt;
use idem_core::ErrorKind;
use idem_http::WhenInFlight;
use tokio::time::sleep;

use super::accounts::Accounts;
use crate::support::{App, Calls, Gate, HUNDRED, Server, builder, channel_of, post, problem_code, until};

const LENGTH: usize = 4_000;
const HALF: usize = 1_500;
/// Ten halves.
const BOUND: usize = 10 * HALF;

fn half_sent(key: usize) -> String {
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let key = format!("Idempotency-Key: key-{key}\r\nContent-Length: {LENGTH}\r\n\r\n");
    format!("{head}{key}{}", "x".repeat(HALF))
}

fn bounded(calls: &Calls) -> App {
    let calls = calls.clone();
    let handler = move |body: Bytes| async move {
        calls.add();
        body.len().to_string()
    };
    App::with(handler, |builder| builder.max_body(LENGTH).max_bodies_bytes(BOUND))
}

#[tokio::test]
async fn many_half_sent_bodies_hold_no_more_than_the_bound_and_those_that_leave_free_theirs() {
    let calls = Calls::default();
    let app = bounded(&calls);
    let server = Server::start(app.router.clone()).await;
    let mut held = Vec::new();
    for key in 0..10 {
        let mut raw = server.raw().await;
        raw.send(half_sent(key)).await;
        held.push(raw);
        until(|| app.layer.bodies_bytes() == (key + 1) * HALF).await;
    }
    for key in 10..60 {
        let mut raw = server.raw().await;
        raw.send(half_sent(key)).await;
        let answer = raw.receive_until("bodies_full").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
        assert_eq!(app.layer.bodies_bytes(), BOUND);
    }
    // Half of the clients leave. Now a request that was refused before and one that has waited all along can finish.
    held.drain(..5);
    until(|| app.layer.bodies_bytes() == BOUND / 2).await;
    for (key, raw) in [(59, server.raw().await), (9, held.pop().unwrap())] {
        let mut raw = raw;
        let sent = if key == 59 { half_sent(key) } else { String::new() };
        raw.send(sent + &"x".repeat(LENGTH - HALF)).await;
        let answer = raw.receive_until("4000").await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("idempotency-replayed"), "{answer}");
    }
    assert_eq!(calls.count(), 2);
    drop(held);
    until(|| app.layer.bodies_bytes() == 0).await;
}

/// One sender stalls, another is slow.
#[tokio::test(start_paused = true)]
async fn no_sender_holds_its_share_longer_than_a_body_may_take() {
    let app = App::new(|| async { "answer" });
    let hint = SizeHint::with_exact(1_000);
    let (stalling, stalled) = channel_of(hint);
    let (slow, sender) = channel_of(hint);
    let asked = app.router.clone();
    let ask = move |key, body| tokio::spawn(tower::ServiceExt::oneshot(asked.clone(), post(key, body)));
    let (stalling, slow) = (ask("a", stalling), ask("b", slow));
    stalled.send("0123456789");
    let dripping = tokio::spawn(async move {
        for _ in 0..29 {
            sender.send("0123456789");
            sleep(Duration::from_secs(1)).await;
        }
        sleep(Duration::from_hours(1)).await;
    });
    sleep(Duration::from_secs(29)).await;
    // A length that is only declared holds nothing.
    assert!((300..=10 + 580).contains(&app.layer.bodies_bytes()), "{}", app.layer.bodies_bytes());
    for asked in [stalling, slow] {
        assert_eq!(asked.await.unwrap().unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(app.layer.bodies_bytes(), 0);
    dripping.abort();
}

#[tokio::test]
async fn a_body_holds_its_bytes_until_its_handler_takes_them() {
    let (before, after) = (Gate::new(), Gate::new());
    let gates = (before.clone(), after.clone());
    let handler = move |request: axum::extract::Request| async move {
        gates.0.pass().await;
        let mut body = request.into_body();
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        gates.1.pass().await;
        drop(body);
        data
    };
    let app =
        App::with(handler, |builder| builder.when_in_flight(WhenInFlight::Wait(Duration::from_mins(1))));
    let ask = || {
        let router = app.router.clone();
        tokio::spawn(async move { crate::support::ask(&router, post("k", "0123456789")).await })
    };
    let first = ask();
    before.entered().await;
    assert_eq!(app.layer.bodies_bytes(), 10);
    // Retries that wait hold the bytes of their bodies, and give them back when they leave.
    let retries = [ask(), ask()];
    until(|| app.layer.waiting() == 2).await;
    assert_eq!(app.layer.bodies_bytes(), 30);
    let [leaving, staying] = retries;
    leaving.abort();
    until(|| app.layer.bodies_bytes() == 20).await;
    before.open();
    after.entered().await;
    assert_eq!(app.layer.bodies_bytes(), 10);
    after.open();
    assert_eq!(first.await.unwrap().text(), "0123456789");
    assert!(staying.await.unwrap().is_replayed());
    assert_eq!(app.layer.bodies_bytes(), 0);
}

#[tokio::test]
async fn a_bound_of_one_body_lets_one_in_and_tells_the_other_to_come_again() {
    let app = App::with(|body: Bytes| async move { body }, |b| b.max_body(10).max_bodies_bytes(10));
    let (body, sender) = channel_of(SizeHint::with_exact(10));
    let router = app.router.clone();
    let one = tokio::spawn(async move { crate::support::ask(&router, post("one", body)).await });
    sender.send("012345");
    until(|| app.layer.bodies_bytes() == 6).await;
    let other = app.ask(post("other", "01234")).await;
    assert_eq!((problem_code(&other).as_str(), other.retry_after()), ("bodies_full", Some(1)));
    // An empty body takes no room, and the layer does not read that of a request without a key.
    assert_eq!(app.ask(post("none", "")).await.status, StatusCode::OK);
    let plain = http::Request::post("/").body("0123456789".into()).unwrap();
    assert_eq!(app.ask(plain).await.text(), "0123456789");
    sender.send("6789");
    drop(sender);
    assert_eq!(one.await.unwrap().text(), "0123456789");
    assert_eq!(app.ask(post("other", "01234")).await.text(), "01234");
}

#[tokio::test]
async fn an_account_that_floods_leaves_room_to_the_others() {
    let accounts = Accounts::new(100, 10_000);
    let layer = &accounts.layer;
    let mut half_sent = Vec::new();
    for key in 0..100 {
        let (body, sender) = channel_of(SizeHint::with_exact(100));
        let asked = accounts.ask("flood", &key.to_string(), body);
        sender.send(HUNDRED);
        until(|| asked.is_finished() || layer.bodies_bytes() == (half_sent.len() + 1) * 100).await;
        if asked.is_finished() {
            assert_eq!(problem_code(&asked.await.unwrap()), "bodies_full");
        } else {
            half_sent.push((asked, sender));
        }
    }
    assert_eq!(layer.bodies_bytes(), 9_000);
    let served = accounts.others_served().await;
    assert!(served >= 6, "{served}");
    for (asked, sender) in half_sent {
        sender.break_off();
        assert_eq!(problem_code(&asked.await.unwrap()), "body_incomplete");
    }
    assert_eq!(layer.bodies_bytes(), 0);
}

#[test]
fn a_bound_below_one_body_is_refused_and_the_default_follows_the_largest() {
    let error = builder().max_body(1_000).max_bodies_bytes(999).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("max_bodies_bytes (999) is less than max_body (1000)"), "{error}");
    assert!(builder().max_body(1_000).max_bodies_bytes(1_000).build().is_ok());
    assert!(builder().max_body(1 << 30).build().is_ok());
}
