//! Answers whose body is read as part of an attempt.

use std::time::Duration;

use idem_client::{ClientKey, Failure, IdempotencyMiddleware, IdempotentClient};
use reqwest::StatusCode;
use reqwest_middleware::ClientBuilder;

use crate::script::{Act, Script, client, plain, quick};

const HEAD: &str = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\nConnection: close\r\n\r\n";

fn cut() -> Act {
    Act::Raw(format!("{HEAD}half of it"))
}

#[tokio::test]
async fn a_cut_body_is_requested_again_with_the_same_key() {
    let server =
        Script::of([cut(), Act::Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha".into())])
            .await;
    let answer = client().read_body(100).execute(server.post("12 EUR")).await.unwrap();
    let key = answer.extensions().get::<ClientKey>().unwrap().as_str().to_owned();
    assert_eq!((answer.url().as_str(), answer.content_length()), (server.url(), Some(4)));
    assert_eq!(answer.text().await.unwrap(), "paid");
    assert_eq!(server.keys(), vec![format!("\"{key}\""); 3]);
}

#[tokio::test]
async fn a_cut_replay_is_requested_again() {
    let head = HEAD.replace("\r\n\r\n", "\r\nIdempotency-Replayed: true\r\n\r\n");
    let server = Script::of([Act::Raw(head)]).await;
    let answer = client().read_body(100).execute(server.post("12 EUR")).await.unwrap();
    assert_eq!((answer.text().await.unwrap().as_str(), server.seen().len()), ("paid", 2));
}

#[tokio::test]
async fn a_stalled_body_is_requested_again() {
    let server = Script::of([Act::Stall(format!("{HEAD}half"))]).await;
    let mut policy = quick();
    policy.attempt_timeout = Duration::from_secs(1);
    let client = IdempotentClient::new(plain()).unwrap().policy(policy).read_body(100);
    let answer = client.execute(server.post("12 EUR")).await.unwrap();
    assert_eq!((answer.text().await.unwrap().as_str(), server.seen().len()), ("paid", 2));
}

#[tokio::test]
async fn a_body_that_is_always_cut_is_given_up_with_the_key() {
    let server = Script::of(vec![cut(); 9]).await;
    let error = client().read_body(100).execute(server.post("12 EUR")).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::NotAnswered(_)), "{error:?}");
    assert_eq!(server.keys(), vec![format!("\"{}\"", error.key().unwrap().as_str()); 4]);
}

#[tokio::test]
async fn the_middleware_reads_bodies_too() {
    let server = Script::of([cut()]).await;
    let middleware = IdempotencyMiddleware::new().policy(quick()).read_body(100);
    let client = ClientBuilder::new(plain().build().unwrap()).with(middleware).build();
    let answer = client.post(server.url()).body("12 EUR").send().await.unwrap();
    assert_eq!((answer.text().await.unwrap().as_str(), server.seen().len()), ("paid", 2));
}

#[tokio::test]
async fn a_body_of_the_limit_is_read_and_a_longer_one_is_an_error_with_key_and_status() {
    let chunked = |length: usize| {
        let body = "x".repeat(length);
        Act::Raw(format!(
            "HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        ))
    };
    let with_length = |length: usize| {
        let body = "x".repeat(length);
        Act::Raw(format!("HTTP/1.1 201 Made\r\nContent-Length: {length}\r\n\r\n{body}"))
    };
    for act in [chunked(1_000), with_length(1_000), with_length(0)] {
        let server = Script::of([act]).await;
        client().read_body(1_000).execute(server.post("12 EUR")).await.unwrap();
    }
    for act in [chunked(1_001), with_length(1_001), with_length(1_000_000)] {
        let server = Script::of([act]).await;
        let error = client().read_body(1_000).execute(server.post("12 EUR")).await.unwrap_err();
        assert!(error.key().is_some());
        let is_too_large =
            matches!(error.failure(), Failure::TooLarge { status: StatusCode::CREATED, limit: 1_000 });
        assert!(is_too_large && server.seen().len() == 1, "{error:?}");
    }
}

#[tokio::test]
async fn without_read_body_the_body_is_streamed_and_its_loss_leaves_the_key() {
    let server = Script::of([Act::Stall(format!("{HEAD}first"))]).await;
    let mut answer = client().execute(server.post("12 EUR")).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    let server = Script::of([cut()]).await;
    let answer = client().execute(server.post("12 EUR")).await.unwrap();
    let key = answer.extensions().get::<ClientKey>().unwrap().clone();
    answer.text().await.unwrap_err();
    assert_eq!(server.keys(), [format!("\"{}\"", key.as_str())]);
}

#[tokio::test]
async fn reading_the_body_of_a_retryable_answer_is_bounded_in_time_and_size() {
    let long = "x".repeat(1_000_000);
    let endless = format!("HTTP/1.1 503 Unavailable\r\nContent-Length: 9000000\r\n\r\n{long}");
    let server =
        Script::of([Act::Stall("HTTP/1.1 503 Unavailable\r\nContent-Length: 9\r\n\r\nhalf".into())]).await;
    client().execute(server.post("12 EUR")).await.unwrap();
    let server = Script::of(vec![Act::Stall(endless); 9]).await;
    match client().execute(server.post("12 EUR")).await.unwrap_err().into_failure() {
        Failure::Later(answer) => assert_eq!(answer.bytes().await.unwrap().len(), 65_536),
        other => panic!("{other:?}"),
    }
}
