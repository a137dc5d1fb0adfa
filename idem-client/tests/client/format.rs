//! The serialized form of a request that is kept.

use std::io;

use idem_client::{Failure, OutgoingRequest};
use reqwest::header::AUTHORIZATION;

use crate::script::{Script, client};

/// What the hook gets for `request`.
pub(crate) async fn kept(request: reqwest::Request) -> OutgoingRequest {
    let (keeps, kept) = std::sync::mpsc::channel();
    let client = client().persist(move |outgoing: OutgoingRequest| {
        keeps.send(outgoing).unwrap();
        async { Err(io::Error::other("enough")) }
    });
    client.execute(request).await.unwrap_err();
    kept.recv().unwrap()
}

pub(crate) fn written_and_read(outgoing: &OutgoingRequest) -> OutgoingRequest {
    serde_json::from_str(&serde_json::to_string(outgoing).unwrap()).unwrap()
}

#[tokio::test]
async fn another_version_or_an_incomplete_request_is_an_error() {
    let server = Script::of([]).await;
    let written = serde_json::to_value(kept(server.post("12 EUR")).await).unwrap();
    for (field, value) in [
        ("version", 2.into()),
        ("key", "".into()),
        ("method", "P OST".into()),
        ("url", "payments".into()),
        ("headers", serde_json::json!([["x", { "text": "a\nb" }]])),
        ("headers", serde_json::json!([["x", { "base64": "?" }]])),
        ("left_out", serde_json::json!(["a b"])),
        ("news", 1.into()),
    ] {
        let mut changed = written.clone();
        changed[field] = value;
        let read = serde_json::from_value::<OutgoingRequest>(changed);
        assert!(read.is_err(), "{field}");
    }
    let mut stream = server.post("");
    *stream.body_mut() = Some(reqwest::Body::wrap(reqwest::Body::from("12 EUR")));
    let outgoing = written_and_read(&kept(stream).await);
    assert!(outgoing.is_stream() && outgoing.body().is_none());
    let error = client().resume(&outgoing).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::NotResumed(_)), "{error:?}");
}

/// The bytes of version 1, as the first release writes them.
#[tokio::test]
async fn version_1_stays_readable() {
    let line = r#"{"version":1,"key":"order-17","method":"POST","url":"https://api.example/payments?a=1",
        "headers":[["idempotency-key",{"text":"\"order-17\""}],["x-many",{"base64":"dOk="}]],
        "left_out":["authorization"],"body":{"kept":{"text":"12 EUR"}},
        "first_sent":1800000000,"until":1800086400}"#;
    let outgoing: OutgoingRequest = serde_json::from_str(line).unwrap();
    assert_eq!((outgoing.key().as_str(), outgoing.method().as_str()), ("order-17", "POST"));
    assert_eq!(outgoing.url().as_str(), "https://api.example/payments?a=1");
    assert_eq!(outgoing.headers()["x-many"].as_bytes(), b"t\xe9");
    assert_eq!(outgoing.missing(), [AUTHORIZATION]);
    let written = serde_json::to_value(&outgoing).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(line).unwrap());
}
