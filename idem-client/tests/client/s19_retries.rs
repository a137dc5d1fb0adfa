//! 19: what is sent again, what never is, and giving up with the key.

use std::time::Duration;

use idem_client::{ClientKey, Error, Failure, IdempotencyMiddleware, Idempotent, with_key};
use reqwest_middleware::ClientBuilder;
use tokio::time::{Instant, timeout};

use crate::script::{Act, Script, client, quick};

async fn sendings_of(first: &'static str) -> (usize, u16) {
    let server = Script::of([Act::Answer(first)]).await;
    let status = client().execute(server.post("12 EUR")).await.unwrap().status().as_u16();
    (server.seen().len(), status)
}

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    for first in [
        "409 Conflict\r\nRetry-After: 0\r\n",
        "429 Too Many\r\n",
        "502 Bad Gateway\r\n",
        "503 Unavailable\r\n",
        "504 Timeout\r\n",
    ] {
        assert_eq!(sendings_of(first).await, (2, 200), "{first}");
    }
}

#[tokio::test]
async fn every_other_answer_is_final() {
    for (first, status) in [
        ("200 OK\r\n", 200),
        ("400 Bad\r\n", 400),
        ("401 Who\r\n", 401),
        ("409 Conflict\r\n", 409),
        ("413 Large\r\n", 413),
        ("422 Reused\r\n", 422),
        ("422 Reused\r\nRetry-After: 0\r\n", 422),
        ("500 Broken\r\n", 500),
    ] {
        assert_eq!(sendings_of(first).await, (1, status), "{first}");
    }
}

#[tokio::test]
async fn a_replay_is_final_whatever_it_says() {
    for first in [
        "503 Unavailable\r\nIdempotency-Replayed: true\r\n",
        "429 Too Many\r\nIdempotency-Replayed: true\r\nRetry-After: 0\r\n",
        "409 Conflict\r\nRetry-After: 0\r\nidempotency-replayed: true\r\n",
    ] {
        assert_eq!(sendings_of(first).await.0, 1, "{first}");
    }
}

#[tokio::test]
async fn lost_connections_and_silence_are_sent_again() {
    let server = Script::of([Act::Drop, Act::Silence]).await;
    let impatient = reqwest::Client::builder().timeout(Duration::from_millis(300)).pool_max_idle_per_host(0);
    let client = Idempotent::new(impatient.build().unwrap()).policy(quick());
    assert_eq!(client.execute(server.post("12 EUR")).await.unwrap().status(), 200);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn giving_up_tells_key_attempts_and_the_last_answer() {
    let server = Script::of(vec![Act::Answer("503 Unavailable\r\n"); 9]).await;
    let error = client().execute(server.post("12 EUR")).await.unwrap_err();
    assert_eq!(error.attempts(), 4);
    assert_eq!(server.keys(), vec![format!("\"{}\"", error.key().unwrap().as_str()); 4]);
    assert!(!format!("{error} {error:?}").contains(error.key().unwrap().as_str()));
    match error.into_failure() {
        Failure::Later(answer) => assert_eq!(answer.text().await.unwrap(), "paid"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_key_of_a_given_up_request_finds_its_answer_later() {
    let server = Script::of(vec![Act::Drop; 4]).await;
    let error = client().execute(server.post("12 EUR")).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::NotAnswered(_)), "{error:?}");
    let mut again = server.post("12 EUR");
    with_key(&mut again, &ClientKey::new(error.key().unwrap().as_str()).unwrap()).unwrap();
    assert_eq!(client().execute(again).await.unwrap().status(), 200);
    let keys = server.keys();
    assert!(keys.len() == 5 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn a_client_with_middleware_finds_the_key_in_its_error() {
    let server = Script::of(vec![Act::Drop; 9]).await;
    let plain = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let client = ClientBuilder::new(plain).with(IdempotencyMiddleware::new().policy(quick())).build();
    let error = client.post(server.url()).body("12 EUR").send().await.unwrap_err();
    let error = Error::of(&error).unwrap();
    assert_eq!(error.attempts(), 4);
    assert_eq!(server.keys(), vec![format!("\"{}\"", error.key().unwrap().as_str()); 4]);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    for asked in [
        "503 Unavailable\r\nRetry-After: 1\r\n",
        "503 Unavailable\r\nDate: Tue, 15 Nov 1994 08:12:30 GMT\r\nRetry-After: Tue, 15 Nov 1994 08:12:31 GMT\r\n",
    ] {
        let begun = Instant::now();
        assert_eq!(sendings_of(asked).await, (2, 200));
        assert!(begun.elapsed() >= Duration::from_secs(1), "{asked}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_asks_for_longer_than_the_window_is_given_up_at_once() {
    let server = Script::of(vec![Act::Answer("503 Unavailable\r\nRetry-After: 86400\r\n"); 9]).await;
    let given = timeout(Duration::from_secs(30), client().execute(server.post("12 EUR"))).await.unwrap();
    assert_eq!(given.unwrap_err().attempts(), 1);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_stream_is_sent_once_and_its_loss_tells_the_key() {
    let server = Script::of([Act::Drop]).await;
    let mut request = server.post("");
    *request.body_mut() = Some(reqwest::Body::wrap(Once(Some(bytes::Bytes::from_static(b"12 EUR")))));
    let error = client().execute(request).await.unwrap_err();
    assert_eq!((error.attempts(), server.seen().len()), (1, 1));
    assert_eq!(server.keys(), [format!("\"{}\"", error.key().unwrap().as_str())]);
}

/// A body of one frame that cannot be had twice.
struct Once(Option<bytes::Bytes>);

impl http_body::Body for Once {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|data| Ok(http_body::Frame::data(data))))
    }
}
