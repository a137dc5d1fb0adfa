//! The layer acts on `POST` and `PATCH` by default; other methods pass untouched, and their header is ignored.

use axum::body::Body;
use http::{Method, Request};

use crate::support::{App, Calls};

fn request(method: Method, key: &str) -> Request<Body> {
    Request::builder().method(method).uri("/").header("idempotency-key", key).body(Body::empty()).unwrap()
}

fn app(calls: &Calls, methods: Option<&[Method]>) -> App {
    let calls = calls.clone();
    let handler = move || async move { calls.add().to_string() };
    App::with(handler, |builder| match methods {
        Some(methods) => builder.methods(methods.to_vec()),
        None => builder,
    })
}

#[tokio::test]
async fn post_and_patch_have_keys_by_default() {
    for method in [Method::POST, Method::PATCH] {
        let calls = Calls::default();
        let app = app(&calls, None);
        app.ask(request(method.clone(), "k")).await;
        assert!(app.ask(request(method, "k")).await.is_replayed());
        assert_eq!(calls.count(), 1);
    }
}

#[tokio::test]
async fn other_methods_pass_untouched_even_with_a_malformed_key() {
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let calls = Calls::default();
        let app = app(&calls, None);
        for (key, answer) in [("k", "1"), ("k", "2"), ("\"malformed", "3")] {
            let reply = app.ask(request(method.clone(), key)).await;
            assert_eq!((reply.text(), reply.is_replayed()), (answer, false));
        }
    }
}

#[tokio::test]
async fn the_methods_are_configurable() {
    let calls = Calls::default();
    let app = app(&calls, Some(&[Method::PUT]));
    app.ask(request(Method::PUT, "k")).await;
    assert!(app.ask(request(Method::PUT, "k")).await.is_replayed());
    app.ask(request(Method::POST, "k")).await;
    assert!(!app.ask(request(Method::POST, "k")).await.is_replayed());
    assert_eq!(calls.count(), 3);
}
