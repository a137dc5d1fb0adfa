//! A replay is the same answer, marked as one, and framed for its own connection.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{App, Calls, Client, Server, frames, post, problem_code};

/// An answer with everything that a replay has to get right: several values of one header, bytes that are not text, a
/// date.
async fn rich() -> impl IntoResponse {
    let mut headers = HeaderMap::new();
    headers.append("link", HeaderValue::from_static("<a>"));
    headers.append("link", HeaderValue::from_static("<b>"));
    headers.append("x-bytes", HeaderValue::from_bytes(b"\xFF\xFE").unwrap());
    headers.insert("date", HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    (StatusCode::CREATED, headers, vec![0_u8, 1, 255, b'\r', b'\n'])
}

#[tokio::test]
async fn a_replay_is_equal_and_marked_over_both_versions_of_http() {
    let server = Server::start(App::new(rich).router).await;
    let mut client = Client::http1(&server).await;
    let first = client.ask(post("k", "")).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    for mut client in [client, Client::http2(&server).await] {
        let replay = client.ask(post("k", "")).await;
        assert_eq!(replay.headers["idempotency-replayed"], "true");
        assert_eq!(replay.content(), first.content());
    }
    assert_eq!((first.status, &first.body[..]), (StatusCode::CREATED, &b"\0\x01\xFF\r\n"[..]));
}

#[tokio::test]
async fn the_date_is_that_of_the_replay() {
    let server = Server::start(App::new(rich).router).await;
    let mut client = Client::http1(&server).await;
    let first = client.ask(post("k", "")).await;
    assert!(first.headers["date"].to_str().unwrap().contains("1970"), "the handler's own");
    let replay = client.ask(post("k", "")).await;
    assert!(!replay.headers["date"].to_str().unwrap().contains("1970"));
}

#[tokio::test]
async fn the_marker_has_the_configured_name() {
    let name = HeaderName::from_static("x-replayed");
    let app = App::with(|| async { "x" }, |builder| builder.replayed_header(name));
    app.ask(post("k", "")).await;
    let replay = app.ask(post("k", "")).await;
    assert_eq!(replay.headers["x-replayed"], "true");
    assert!(!replay.is_replayed());
}

/// Three pieces without a length, then `trailers`.
fn pieces(trailers: Option<HeaderMap>) -> Body {
    let data = ["one ", "two ", "three"].map(|piece| Frame::data(Bytes::from_static(piece.as_bytes())));
    frames(data.into_iter().chain(trailers.map(Frame::trailers)))
}

#[tokio::test]
async fn content_length_is_right_whatever_the_handler_said() {
    let handler = || async { ([("content-length", "999"), ("transfer-encoding", "chunked")], pieces(None)) };
    let app = App::new(handler);
    for _ in 0..2 {
        let reply = app.ask(post("k", "")).await;
        assert_eq!(reply.headers["content-length"], "13");
        assert!(!reply.headers.contains_key("transfer-encoding"));
        assert_eq!(reply.text(), "one two three");
    }
}

#[tokio::test]
async fn an_answer_that_has_no_body_has_no_length() {
    let server = Server::start(App::new(|| async { StatusCode::NO_CONTENT }).router).await;
    for _ in 0..2 {
        let answer = server.raw().await.exchange(&[b"Idempotency-Key: k"], b"").await;
        assert!(answer.starts_with("HTTP/1.1 204") && !answer.contains("content-length"), "{answer}");
    }
}

#[tokio::test]
async fn trailers_are_replayed_and_then_there_is_no_content_length() {
    let handler = || async {
        let trailers = HeaderMap::from_iter([
            (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0")),
            (HeaderName::from_static("grpc-message"), HeaderValue::from_static("fine")),
        ]);
        ([("content-type", "application/grpc")], pieces(Some(trailers)))
    };
    let server = Server::start(App::new(handler).router).await;
    let mut client = Client::http2(&server).await;
    let first = client.ask(post("k", "")).await;
    let replay = client.ask(post("k", "")).await;
    assert!(replay.is_replayed());
    assert_eq!(replay.content(), first.content());
    assert_eq!(replay.trailers.unwrap()["grpc-message"], "fine");
    assert!(!replay.headers.contains_key("content-length"));
}

#[tokio::test]
async fn trailers_named_over_http_1_are_replayed() {
    let handler = || async {
        let trailers =
            HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))]);
        ([("trailer", "x-sum")], pieces(Some(trailers)))
    };
    let server = Server::start(App::new(handler).router).await;
    for _ in 0..2 {
        let answer = server.raw().await.exchange(&[b"Idempotency-Key: k", b"TE: trailers"], b"").await;
        assert!(answer.to_lowercase().contains("x-sum: 7") && answer.contains("chunked"), "{answer}");
    }
}

#[tokio::test]
async fn an_interim_answer_has_no_effect() {
    let handler = |body: String| async move { body };
    let server = Server::start(App::new(handler).router).await;
    for _ in 0..2 {
        let mut raw = server.raw().await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nExpect: 100-continue\r\n";
        raw.send(format!("{head}Connection: close\r\nContent-Length: 4\r\n\r\n")).await;
        let interim = raw.receive_until("\r\n\r\n").await;
        assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
        raw.send("body").await;
        let answer = raw.receive().await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("body"), "{answer}");
    }
}

#[tokio::test]
async fn an_upgrade_goes_through_and_a_retry_is_told_of_it() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move |mut request: Request| async move {
        counted.add();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut connection = TokioIo::new(upgrade.await.unwrap());
            let mut byte = [0];
            connection.read_exact(&mut byte).await.unwrap();
            connection.write_all(&[byte[0] + 1]).await.unwrap();
        });
        let answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        answer.header("connection", "upgrade").header("upgrade", "plus-one").body(Body::empty()).unwrap()
    };
    let server = Server::start(App::new(handler).router).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nConnection: upgrade\r\nUpgrade: plus-one\r\n\r\n";
    let mut raw = server.raw().await;
    raw.send(head).await;
    let answer = raw.receive_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    raw.send("a").await;
    assert_eq!(raw.receive_until("b").await, "b");

    let retry = Client::http1(&server).await.ask(post("k", "")).await;
    assert_eq!((retry.status, problem_code(&retry).as_str()), (StatusCode::CONFLICT, "not_kept"));
    assert!(retry.text().contains("changed its protocol") && retry.retry_after().is_none(), "{retry:?}");
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replay_does_not_take_as_long_as_the_first_answer() {
    let handler = || async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        "slow"
    };
    let app = App::new(handler);
    app.ask(post("k", "")).await;
    let before = tokio::time::Instant::now();
    assert!(app.ask(post("k", "")).await.is_replayed());
    assert!(before.elapsed().is_zero());
}
