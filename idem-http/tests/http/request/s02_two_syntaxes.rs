//! `Strict` takes strings only; `Lenient`, the default, also what real clients send.

use axum::body::Body;
use http::{Request, StatusCode};
use idem_http::{IdempotencyKey, KeySyntax};

use crate::support::{App, Calls, Client, Server, problem_code};

const UUID: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

fn app(calls: &Calls, syntax: Option<KeySyntax>) -> App {
    let calls = calls.clone();
    let handler = move |key: IdempotencyKey| async move {
        calls.add();
        key.as_str().to_owned()
    };
    App::with(handler, |builder| match syntax {
        Some(syntax) => builder.syntax(syntax),
        None => builder,
    })
}

fn request(value: &str) -> Request<Body> {
    Request::post("/").header("idempotency-key", value).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn lenient_is_the_default_and_takes_a_bare_key() {
    let calls = Calls::default();
    let app = app(&calls, None);
    for key in
        [UUID, "stripe-node-retry-8e03978e-40d5-43dd-bc93-6894a57f9324", "KG5LxwFBepaKHyUD", "42", "?1"]
    {
        assert_eq!(app.ask(request(key)).await.text(), key);
    }
}

#[tokio::test]
async fn bare_and_quoted_are_the_same_key() {
    let calls = Calls::default();
    let app = app(&calls, None);
    assert_eq!(app.ask(request(UUID)).await.status, StatusCode::OK);
    assert!(app.ask(request(&format!("\"{UUID}\""))).await.is_replayed());
    assert!(app.ask(request(&format!("\"{UUID}\";v=2"))).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn strict_refuses_a_bare_key() {
    let calls = Calls::default();
    let reply = app(&calls, Some(KeySyntax::Strict)).ask(request(UUID)).await;
    assert_eq!((reply.status, problem_code(&reply).as_str()), (StatusCode::BAD_REQUEST, "key_malformed"));
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn a_malformed_value_in_quotes_is_400_in_both() {
    let calls = Calls::default();
    for syntax in [KeySyntax::Strict, KeySyntax::Lenient] {
        let app = app(&calls, Some(syntax));
        for value in ["\"abc", "abc\"", "\"a\\b\"", "\"a\"b", "\"a\" \"b\"", "\"a\", b", "a b", "a;b", "a,b"]
        {
            assert_eq!(app.ask(request(value)).await.status, StatusCode::BAD_REQUEST, "{value} {syntax:?}");
        }
    }
    assert_eq!(calls.count(), 0);
}

#[tokio::test]
async fn names_in_any_case_and_both_versions_of_http_reach_one_key() {
    let calls = Calls::default();
    let server = Server::start(app(&calls, None).router).await;
    for name in ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"] {
        let line = format!("{name}: {UUID}");
        let answer = server.raw().await.exchange(&[line.as_bytes()], b"").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(UUID), "{answer}");
    }
    for mut client in [Client::http1(&server).await, Client::http2(&server).await] {
        assert!(client.ask(request(UUID)).await.is_replayed());
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_request_with_two_of_several_headers_is_400() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move { counted.add().to_string() };
    let names = ["idempotency-key", "x-idempotency-key"].map(http::HeaderName::from_static);
    let app = App::with(handler, |builder| builder.key_headers(names));
    let other = Request::post("/").header("x-idempotency-key", UUID).body(Body::empty()).unwrap();
    assert_eq!(app.ask(other).await.status, StatusCode::OK);
    assert!(app.ask(request(UUID)).await.is_replayed());
    let mut both = request(UUID);
    both.headers_mut().insert("x-idempotency-key", UUID.parse().unwrap());
    assert_eq!(app.ask(both).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(calls.count(), 1);
}
