//! Servers that mark a replay by a header of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use idem_client::IdempotencyMiddleware;
use reqwest::header::HeaderName;
use reqwest_middleware::ClientBuilder;

use crate::script::{Act, Script, client, plain, quick};

/// With the wrapper and with the middleware.
#[tokio::test]
async fn a_replay_is_recognised_by_a_custom_header() {
    let first = "503 Unavailable\r\nX-Own-Replay: true\r\n";
    let own = HeaderName::from_static("x-own-replay");
    let server = Script::of([Act::Answer(first)]).await;
    let status = client().replayed_header(own.clone()).execute(server.post("12 EUR")).await.unwrap().status();
    assert_eq!((server.seen().len(), status.as_u16()), (1, 503));
    let server = Script::of([Act::Answer(first)]).await;
    let middleware = IdempotencyMiddleware::new().policy(quick()).replayed_header(own.clone());
    let through = ClientBuilder::new(plain().build().unwrap()).with(middleware).build();
    assert_eq!(through.execute(server.post("12 EUR")).await.unwrap().status(), 503);
    assert_eq!(server.seen().len(), 1);
    // The default header then means nothing.
    let server = Script::of([Act::Answer("503 Unavailable\r\nIdempotency-Replayed: true\r\n")]).await;
    client().replayed_header(own).execute(server.post("12 EUR")).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

/// After a lost attempt, an error that is not a replay may concern the second attempt alone.
#[tokio::test]
async fn an_error_replayed_with_a_custom_header_is_the_answer_of_the_operation() {
    for (name, forgotten) in [("x-own-replay", 1), ("idempotency-replayed", 0)] {
        let server = Script::of([Act::Drop, Act::Answer("403 No\r\nX-Own-Replay: true\r\n")]).await;
        let told = Arc::new(AtomicUsize::new(0));
        let telling = Arc::clone(&told);
        let client = client().replayed_header(HeaderName::from_static(name)).forget(move |_| {
            telling.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, std::io::Error>(()) }
        });
        assert_eq!(client.execute(server.post("12 EUR")).await.unwrap().status(), 403);
        assert_eq!((server.seen().len(), told.load(Ordering::SeqCst)), (2, forgotten), "{name}");
    }
}
