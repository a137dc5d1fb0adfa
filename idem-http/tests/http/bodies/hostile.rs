//! Malicious clients: memory stays bounded, the answer is 4xx, and nothing is executed.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};

use crate::support::{App, Calls, Server, post, problem_code, repeated};

const LIMIT: usize = 100_000;

fn app() -> (Calls, App) {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move |body: Bytes| async move {
        counted.add();
        body.len().to_string()
    };
    let time = Duration::from_millis(300);
    (calls, App::with(handler, |builder| builder.max_body(LIMIT).body_timeout(time)))
}

/// The result of `work`, and the most bytes that were allocated at any moment of it.
fn measured<T>(work: impl Future<Output = T>) -> (T, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut work = Some(work);
    let mut answer = None;
    let measured = allocation_counter::measure(|| answer = work.take().map(|work| runtime.block_on(work)));
    (answer.unwrap(), measured.bytes_max)
}

#[tokio::test]
async fn a_slow_body_is_408_on_the_wire() {
    let (calls, app) = app();
    let server = Server::start(app.router).await;
    let mut raw = server.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 10\r\n\r\nslow").await;
    let answer = raw.receive_until("body_timeout").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_body_of_single_bytes_that_never_ends_is_408() {
    let (calls, app) = app();
    let server = Server::start(app.router).await;
    let mut raw = server.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let (mut read, mut write) = raw.0.into_split();
    let drip = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while write.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        use tokio::io::AsyncReadExt;
        let read = read.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "{}", answer.escape_ascii());
    }
    drip.abort();
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", answer.escape_ascii());
    assert_eq!(calls.count(), 0);
}

#[test]
fn an_endless_body_is_413_within_bounded_memory() {
    let (calls, app) = app();
    let endless = repeated("0123456789abcdef", usize::MAX);
    let (reply, most) = measured(app.ask(post("k", endless)));
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
    );
    assert!(most < 4 * LIMIT as u64, "{most} bytes");
    assert_eq!(calls.count(), 0);
}

#[test]
fn a_body_of_empty_pieces_that_never_ends_is_408() {
    let (calls, app) = app();
    let (reply, most) = measured(app.ask(post("k", repeated("", usize::MAX))));
    assert_eq!((reply.status, problem_code(&reply).as_str()), (StatusCode::REQUEST_TIMEOUT, "body_timeout"));
    assert!(most < LIMIT as u64, "{most} bytes");
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_body_of_a_gibibyte_is_413_at_once() {
    let (calls, app) = app();
    let server = Server::start(app.router).await;
    let mut raw = server.raw().await;
    let length = 1_u64 << 30;
    raw.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: {length}\r\n\r\nx"
    ))
    .await;
    let answer = raw.receive_until("body_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_body_of_another_length_than_it_says_is_400() {
    let (calls, app) = app();
    for (length, body) in
        [("10", "short"), ("2", "long"), ("-1", ""), ("x", ""), ("99999999999999999999", "")]
    {
        let mut request = post("k", repeated(body, 1));
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(length));
        let reply = app.ask(request).await;
        assert_eq!(
            (reply.status, problem_code(&reply).as_str()),
            (StatusCode::BAD_REQUEST, "body_incomplete"),
            "{length}"
        );
    }
    let mut two = post("k", "four");
    two.headers_mut().append(CONTENT_LENGTH, HeaderValue::from_static("4"));
    two.headers_mut().append(CONTENT_LENGTH, HeaderValue::from_static("5"));
    assert_eq!(app.ask(two).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_body_that_ends_early_on_the_wire_runs_nothing() {
    use tokio::io::AsyncWriteExt;

    let (calls, app) = app();
    let server = Server::start(app.router).await;
    for head in ["Content-Length: 10\r\n\r\nshort", "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"] {
        let mut raw = server.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n{head}")).await;
        raw.0.shutdown().await.unwrap();
        let answer = raw.receive().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn ten_thousand_headers_are_refused_on_the_wire() {
    let (calls, app) = app();
    let server = Server::start(app.router).await;
    for line in ["X-Other: 1", "Idempotency-Key: k"] {
        let mut raw = server.raw().await;
        let lines = format!("{line}\r\n").repeat(10_000);
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        let answer = raw.receive_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert_eq!(calls.count(), 0);
}

#[test]
fn ten_thousand_lines_of_a_key_are_400_within_bounded_memory() {
    let (calls, app) = app();
    let mut request = post("k", "");
    for _ in 0..10_000 {
        request.headers_mut().append("idempotency-key", HeaderValue::from_static("\"key\""));
    }
    let (reply, most) = measured(app.ask(request));
    assert_eq!((reply.status, problem_code(&reply).as_str()), (StatusCode::BAD_REQUEST, "key_malformed"));
    assert!(most < 100_000, "{most} bytes");
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn control_bytes_in_a_key_are_400_on_the_wire() {
    let (calls, app) = app();
    let server = Server::start(app.router).await;
    for byte in (0..=0x1F_u8).chain([0x7F]).filter(|byte| ![b'\n', b'\r'].contains(byte)) {
        for quote in [&b""[..], b"\""] {
            let line = [b"Idempotency-Key: ", quote, b"a", &[byte], b"b", quote].concat();
            let answer = server.raw().await.exchange(&[&line], b"").await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{byte:#x}: {answer}");
        }
    }
    assert_eq!(calls.count(), 0);
}

#[test]
fn a_gzip_bomb_is_hashed_as_it_is() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = Bytes::from(bomb.finish().unwrap());
    assert!(bomb.len() < LIMIT, "64 MiB in {} bytes", bomb.len());
    let (calls, app) = app();
    for replayed in [false, true] {
        let mut request = post("k", bomb.clone());
        request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        let (reply, most) = measured(app.ask(request));
        assert_eq!((reply.text(), reply.is_replayed()), (bomb.len().to_string().as_str(), replayed));
        assert!(most < LIMIT as u64, "{most} bytes");
    }
    assert_eq!(calls.count(), 1);
}
