//! 19: which requests are sent again, which never are, and giving up with the key.

use std::time::Duration;

use idem_client::{ClientKey, Error, Failure, IdempotencyMiddleware, IdempotentClient, with_key};
use reqwest_middleware::ClientBuilder;
use tokio::time::{Instant, timeout};

use crate::script::{Act, Script, client, plain, quick};

/// How often a request is sent whose first answer is `first`, and the status of the last answer.
async fn attempts_after(first: &'static str) -> (usize, u16) {
    let server = Script::of([Act::Answer(first)]).await;
    let status = client().execute(server.post("12 EUR")).await.unwrap().status().as_u16();
    (server.seen().len(), status)
}

#[tokio::test]
async fn transient_errors_are_retried() {
    for first in [
        "408 Slow\r\n",
        "409 Conflict\r\nRetry-After: 0\r\n",
        "425 Early\r\n",
        "429 Too Many\r\n",
        "502 Bad Gateway\r\n",
        "503 Unavailable\r\n",
        "504 Timeout\r\n",
        "520 Unknown\r\n",
        "524 Timeout\r\n",
        "530 Unreachable\r\n",
    ] {
        assert_eq!(attempts_after(first).await, (2, 200), "{first}");
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
        ("501 Not Implemented\r\n", 501),
        ("525 Handshake\r\n", 525),
    ] {
        assert_eq!(attempts_after(first).await, (1, status), "{first}");
    }
}

#[tokio::test]
async fn a_replay_is_final_whatever_it_says() {
    for first in [
        "503 Unavailable\r\nIdempotency-Replayed: true\r\n",
        "429 Too Many\r\nIdempotency-Replayed: true\r\nRetry-After: 0\r\n",
        "409 Conflict\r\nRetry-After: 0\r\nidempotency-replayed: true\r\n",
    ] {
        assert_eq!(attempts_after(first).await.0, 1, "{first}");
    }
}

#[tokio::test]
async fn zero_attempts_count_as_one() {
    let mut policy = quick();
    policy.attempts = 0;
    let server = Script::of([Act::Answer("503 Unavailable\r\n")]).await;
    let error = client().policy(policy).execute(server.post("12 EUR")).await.unwrap_err();
    assert_eq!((error.attempts(), server.seen().len()), (1, 1));
}

#[tokio::test]
async fn lost_connections_and_silence_are_retried() {
    let server = Script::of([Act::Drop, Act::Silence]).await;
    let client = IdempotentClient::new(plain().timeout(Duration::from_millis(300))).unwrap().policy(quick());
    assert_eq!(client.execute(server.post("12 EUR")).await.unwrap().status(), 200);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn the_error_has_key_attempts_and_last_answer() {
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

/// All texts that an error shows.
fn shown(error: &Error) -> String {
    let mut shown = vec![format!("{error:?} {error:#?} {error}")];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        shown.push(format!("{cause:?} {cause}"));
        source = cause.source();
    }
    shown.concat()
}

#[tokio::test]
async fn errors_show_no_address_header_or_body() {
    let answer = "503 Unavailable\r\nX-Secret: s3cret\r\n";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-Cookie: s3cret\r\n\r\ns3cret";
    let elsewhere = "HTTP/1.1 303 There\r\nLocation: /s?s3cret\r\nContent-Length: 0\r\n\r\n";
    for act in [Act::Drop, Act::Answer(answer), Act::Raw(cut.into()), Act::Raw(elsewhere.into())] {
        let server = Script::of(vec![act.clone(); 9]).await;
        let mut request = server.post("s3cret");
        request.url_mut().set_query(Some("token=s3cret"));
        let error = client().read_body(100).execute(request).await.unwrap_err();
        assert!(!shown(&error).contains("s3cret"), "{act:?}: {}", shown(&error));
    }
    let nobody = reqwest::Client::new().get("http://127.0.0.1:1/?token=s3cret").build().unwrap();
    let error = client().execute(nobody).await.unwrap_err();
    assert!(!shown(&error).contains("s3cret"), "{}", shown(&error));
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
    let client = ClientBuilder::new(plain().build().unwrap())
        .with(IdempotencyMiddleware::new().policy(quick()))
        .build();
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
        assert_eq!(attempts_after(asked).await, (2, 200));
        assert!(begun.elapsed() >= Duration::from_secs(1), "{asked}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_window_is_given_up_at_once() {
    let server = Script::of(vec![Act::Answer("503 Unavailable\r\nRetry-After: 86400\r\n"); 9]).await;
    let given = timeout(Duration::from_secs(30), client().execute(server.post("12 EUR"))).await.unwrap();
    assert_eq!(given.unwrap_err().attempts(), 1);
    assert_eq!(server.seen().len(), 1);
}

/// Sends a request to a server that never answers, by a client without a timeout.
async fn in_silence(attempt: Duration, window: Duration) -> (Error, usize) {
    let server = Script::of(vec![Act::Silence; 9]).await;
    let mut policy = quick();
    (policy.attempt_timeout, policy.window) = (attempt, window);
    let client = IdempotentClient::new(plain()).unwrap().policy(policy);
    let given = timeout(Duration::from_mins(1), client.execute(server.post("12 EUR"))).await.unwrap();
    (given.unwrap_err(), server.seen().len())
}

#[tokio::test]
async fn an_unanswered_attempt_is_retried_without_a_timeout_of_the_client() {
    let (error, seen) = in_silence(Duration::from_millis(200), Duration::from_secs(50)).await;
    assert!(error.attempts() == 4 && seen <= 4, "{error:?}, {seen}");
    assert!(matches!(error.failure(), Failure::NotAnswered(_)) && error.key().is_some(), "{error:?}");
}

#[tokio::test]
async fn the_window_bounds_the_last_attempt_too() {
    let (error, seen) = in_silence(Duration::from_hours(1), Duration::from_millis(300)).await;
    assert!(error.attempts() == 1 && seen <= 1, "{error:?}, {seen}");
}

#[tokio::test]
async fn a_hook_that_never_ends_is_bounded_by_the_window() {
    let server = Script::of([]).await;
    let mut policy = quick();
    policy.window = Duration::from_millis(50);
    let client = client().policy(policy).persist(|_| std::future::pending::<Result<(), std::io::Error>>());
    let given = timeout(Duration::from_mins(1), client.execute(server.post("12 EUR"))).await.unwrap();
    assert!(matches!(given.unwrap_err().failure(), Failure::NotPersisted(_)));
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn an_outage_is_multiplied_by_no_more_than_the_budget() {
    const OPERATIONS: usize = 40;
    let server = Script::of(vec![Act::Answer("503 Unavailable\r\n"); 10_000]).await;
    let mut policy = quick();
    policy.attempts = 100;
    policy.window = Duration::from_secs(2);
    (policy.retry_ratio, policy.retries_per_second) = (0.5, 1);
    let client = client().policy(policy);
    let mut operations = tokio::task::JoinSet::new();
    for _ in 0..OPERATIONS {
        let (client, request) = (client.clone(), server.post("12 EUR"));
        operations.spawn(async move { client.execute(request).await.unwrap_err() });
    }
    let given_up = operations.join_all().await;
    // Half as many retries as operations, and one a second over ten seconds.
    let most = OPERATIONS + OPERATIONS / 2 + 10;
    let sent: usize = given_up.iter().map(Error::attempts).sum();
    assert!(sent > OPERATIONS && sent <= most && server.seen().len() <= most, "{sent}");
}

#[tokio::test]
async fn a_retry_waits_until_the_budget_allows_it() {
    let server = Script::of([Act::Drop]).await;
    let mut policy = quick();
    (policy.retry_ratio, policy.retries_per_second) = (1.0, 0);
    policy.window = Duration::from_mins(1);
    let client = client().policy(policy);
    // The retry spends what its own request deposited, so that the next retry waits for the deposits of others.
    client.execute(server.post("first")).await.unwrap();
    let server = Script::of([Act::Drop, Act::Drop]).await;
    let waiting = tokio::spawn({
        let (client, request) = (client.clone(), server.post("second"));
        async move { client.execute(request).await.unwrap() }
    });
    while server.seen().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let others = Script::of([]).await;
    client.execute(others.post("third")).await.unwrap();
    assert_eq!(waiting.await.unwrap().status(), 200);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn retry_after_leaves_the_jitter_in_place() {
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(tokio::spawn(async {
            let server = Script::of([Act::Answer("503 Unavailable\r\nRetry-After: 1\r\n")]).await;
            let begun = Instant::now();
            client().execute(server.post("12 EUR")).await.unwrap();
            begun.elapsed()
        }));
    }
    let mut took = Vec::new();
    for wait in waits {
        took.push(wait.await.unwrap());
    }
    let (least, most) = (*took.iter().min().unwrap(), *took.iter().max().unwrap());
    // Eight pauses spread over half a second are this close together once in 10^11 runs.
    assert!(least >= Duration::from_secs(1) && most > least + Duration::from_millis(10), "{took:?}");
}

#[tokio::test]
async fn a_stream_is_sent_once_and_its_error_has_the_key() {
    let server = Script::of([Act::Drop]).await;
    let mut request = server.post("");
    *request.body_mut() = Some(reqwest::Body::wrap(Once(Some(bytes::Bytes::from_static(b"12 EUR")))));
    let error = client().execute(request).await.unwrap_err();
    assert_eq!((error.attempts(), server.seen().len()), (1, 1));
    assert_eq!(server.keys(), [format!("\"{}\"", error.key().unwrap().as_str())]);
}

/// A body of one frame that cannot be sent twice.
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
