//! 18: each operation has a UUID as its key, sent as an sf-string and kept over retries, or a key of the application's own,
//! persisted first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use idem_client::{ClientKey, Failure, IdempotencyMiddleware, KeyError, OutgoingRequest, with_key};
use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest_middleware::ClientBuilder;

use crate::script::{Act, Script, client, plain, quick};

#[tokio::test]
async fn the_key_is_a_uuid_in_quotes() {
    let server = Script::of([]).await;
    client().execute(server.post("12 EUR")).await.unwrap();
    let key = server.keys().remove(0);
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap();
    assert_eq!(uuid_shape(bare), "8-4-4-4-12", "{key}");
    assert_eq!(&bare[14..15], "4");
}

fn uuid_shape(text: &str) -> String {
    assert!(text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
    text.split('-').map(|part| part.len().to_string()).collect::<Vec<_>>().join("-")
}

#[tokio::test]
async fn the_same_bytes_are_sent_again() {
    let server = Script::of([Act::Drop, Act::Answer("503 Unavailable\r\n"), Act::Drop]).await;
    assert_eq!(client().execute(server.post("12 EUR")).await.unwrap().text().await.unwrap(), "paid");
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|request| *request == seen[0]), "{seen:#?}");
    assert!(seen[0].ends_with("\r\n\r\n12 EUR"));
}

#[tokio::test]
async fn every_operation_has_a_key_of_its_own_although_the_request_is_the_same() {
    let server = Script::of([]).await;
    let client = client();
    for _ in 0..20 {
        client.execute(server.post("12 EUR")).await.unwrap();
    }
    assert_eq!(server.keys().into_iter().collect::<HashSet<_>>().len(), 20);
}

#[tokio::test]
async fn the_applications_own_key_is_sent_and_kept() {
    let server = Script::of([Act::Drop]).await;
    let mut request = server.post("12 EUR");
    with_key(&mut request, &ClientKey::new(r#"order "17" \ 2"#).unwrap()).unwrap();
    client().execute(request).await.unwrap();
    assert_eq!(server.keys(), [r#""order \"17\" \\ 2""#; 2]);
}

const CUSTOM: HeaderName = HeaderName::from_static("x-request-token");

#[tokio::test]
async fn the_applications_own_key_is_sent_in_a_custom_header() {
    let server = Script::of([Act::Drop]).await;
    let client = client().header(CUSTOM);
    for _ in 0..2 {
        let mut request = server.post("12 EUR");
        with_key(&mut request, &ClientKey::new("order-17").unwrap()).unwrap();
        client.execute(request).await.unwrap();
    }
    assert_eq!(server.values("x-request-token"), [r#""order-17""#; 3]);
    assert_eq!(server.keys(), [""; 3]);
}

#[tokio::test]
async fn a_new_key_is_sent_in_a_custom_header() {
    let server = Script::of([]).await;
    client().header(CUSTOM).execute(server.post("12 EUR")).await.unwrap();
    assert_eq!((server.values("x-request-token")[0].len(), &*server.keys()[0]), (38, ""));
}

#[tokio::test]
async fn two_keys_on_one_request_are_an_error_and_nothing_is_sent() {
    let server = Script::of([]).await;
    let mut request = server.post("12 EUR");
    with_key(&mut request, &ClientKey::new("order-17").unwrap()).unwrap();
    let second = with_key(&mut request, &ClientKey::new("order-18").unwrap());
    assert_eq!(second, Err(KeyError::Two));
    let two_lines = {
        let mut request = request.try_clone().unwrap();
        request.headers_mut().append("idempotency-key", HeaderValue::from_static("order-17"));
        client().execute(request).await.unwrap_err()
    };
    request.headers_mut().insert(CUSTOM, HeaderValue::from_static("order-18"));
    let two_names = client().header(CUSTOM).execute(request).await.unwrap_err();
    for error in [two_lines, two_names] {
        assert!(matches!(error.failure(), Failure::KeyRefused(KeyError::Two)), "{error:?}");
        assert_eq!(error.attempts(), 0);
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn answer_and_error_carry_the_key() {
    let server = Script::of([Act::Answer("500 Broken\r\n")]).await;
    for client in [client(), client().read_body(100)] {
        let answer = client.execute(server.post("12 EUR")).await.unwrap();
        let key = answer.extensions().get::<ClientKey>().unwrap();
        assert_eq!(format!("\"{}\"", key.as_str()), *server.keys().last().unwrap());
    }
    let through = ClientBuilder::new(plain().build().unwrap()).with(IdempotencyMiddleware::new()).build();
    let answer = through.post(server.url()).send().await.unwrap();
    assert!(answer.extensions().get::<ClientKey>().is_some());
}

#[tokio::test]
async fn key_and_request_are_persisted_before_the_first_byte_and_once() {
    let server = Arc::new(Script::of([Act::Drop, Act::Drop]).await);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (log, watched) = (Arc::clone(&kept), Arc::clone(&server));
    let client = client().persist(move |outgoing: OutgoingRequest| {
        log.lock().unwrap().push((outgoing, watched.seen().len()));
        async { Ok::<_, std::io::Error>(()) }
    });
    client.execute(server.post("12 EUR")).await.unwrap();
    let kept = kept.lock().unwrap();
    let [(outgoing, sent_before)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(*sent_before, 0);
    assert_eq!((outgoing.method().as_str(), outgoing.url().path()), ("POST", "/payments"));
    assert_eq!(outgoing.body().map(|body| &body[..]), Some(&b"12 EUR"[..]));
    assert_eq!(server.keys(), vec![format!("\"{}\"", outgoing.key().as_str()); 3]);
}

#[tokio::test]
async fn a_key_that_cannot_be_persisted_is_not_sent() {
    let server = Script::of([]).await;
    let client = client().persist(|_| async { Err(std::io::Error::other("disk full")) });
    let error = client.execute(server.post("12 EUR")).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::NotPersisted(_)), "{error:?}");
    assert_eq!((error.attempts(), server.seen().len()), (0, 0));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
}

#[tokio::test]
async fn other_methods_are_sent_unchanged() {
    let server = Script::of([Act::Answer("503 Unavailable\r\n")]).await;
    let request = reqwest::Client::new().get(server.url()).build().unwrap();
    assert_eq!(client().execute(request).await.unwrap().status(), 503);
    assert_eq!(server.keys(), [""]);
}

#[tokio::test]
async fn the_middleware_does_the_same() {
    let server = Script::of([Act::Drop, Act::Answer("429 Slow\r\n")]).await;
    let client = ClientBuilder::new(plain().build().unwrap())
        .with(IdempotencyMiddleware::new().policy(quick()))
        .build();
    let answer = client.post(server.url()).body("12 EUR").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let keys = server.keys();
    assert_eq!(keys.len(), 3);
    assert!(keys[0].len() == 38 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn no_key_is_shown() {
    let key = ClientKey::new("secret-17").unwrap();
    assert!(!format!("{key:?}").contains("secret"));
}

proptest! {
    /// The server reads the same key that was sent.
    #[test]
    fn every_key_is_sent_as_a_string_of_rfc_9651(text in "[ -~]{1,255}") {
        let mut request = reqwest::Client::new().post("http://localhost/").build().unwrap();
        with_key(&mut request, &ClientKey::new(text.clone()).unwrap()).unwrap();
        let sent = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
        let inner = sent.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let mut read = String::new();
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            prop_assert_ne!(character, '"');
            read.push(if character == '\\' { characters.next().unwrap() } else { character });
        }
        prop_assert_eq!(read, text);
    }

    #[test]
    fn other_texts_are_not_keys(text in "[ -~]{0,9}[\u{0}-\u{1f}\u{7f}-\u{ff}][ -~]{0,9}") {
        prop_assert!(ClientKey::new(text).is_err());
    }
}
