//! One tenant's key never reaches another's answer, and a replay passes the same checks as the first request.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post as route};
use http::StatusCode;
use idem_core::{Scope, Store};
use idem_http::{IdempotencyLayer, ScopeError, scope_from};
use idem_moka::{MokaConfig, MokaStore};

use crate::support::{Calls, ask, post, problem_code};

#[derive(Clone)]
struct Account(String);

/// Any token is an account; a request without one is 401.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let Some(account) = token.map(|token| Account(token.to_owned())) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    request.extensions_mut().insert(account);
    next.run(request).await
}

fn layer() -> IdempotencyLayer {
    let store = Arc::new(MokaStore::new(MokaConfig::default()).unwrap());
    let builder = IdempotencyLayer::builder(store, |parts| {
        let account = parts.extensions.get::<Account>().ok_or_else(ScopeError::misplaced)?;
        if account.0 == "blocked" {
            return Err(ScopeError::new(StatusCode::FORBIDDEN, "this account takes no keys"));
        }
        Ok(Scope::new(&account.0)?)
    });
    builder.build().unwrap()
}

fn app(calls: &Calls, authenticated: bool) -> Router {
    let calls = calls.clone();
    let routes = Router::new().route("/", route(move || async move { format!("answer {}", calls.add()) }));
    let routes = routes.layer(layer());
    if authenticated { routes.layer(from_fn(authenticate)) } else { routes }
}

fn request(token: &str) -> http::Request<Body> {
    let mut request = post("k", "body");
    request.headers_mut().insert("authorization", token.parse().unwrap());
    request
}

#[tokio::test]
async fn two_accounts_with_the_same_key_have_two_answers() {
    let calls = Calls::default();
    let app = app(&calls, true);
    assert_eq!(ask(&app, request("alice")).await.text(), "answer 1");
    assert_eq!(ask(&app, request("bob")).await.text(), "answer 2");
    let replay = ask(&app, request("alice")).await;
    assert_eq!((replay.text(), replay.is_replayed()), ("answer 1", true));
}

#[tokio::test]
async fn a_replay_is_authenticated_as_the_first_request_was() {
    let calls = Calls::default();
    let app = app(&calls, true);
    ask(&app, request("alice")).await;
    let stranger = ask(&app, post("k", "body")).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.body.is_empty());
}

#[tokio::test]
async fn a_request_without_a_scope_is_refused_and_not_run() {
    let calls = Calls::default();
    let reply = ask(&app(&calls, true), request("blocked")).await;
    assert_eq!((reply.status, problem_code(&reply).as_str()), (StatusCode::FORBIDDEN, "scope"));
    let misplaced = ask(&app(&calls, false), request("alice")).await;
    assert_eq!(
        (misplaced.status, problem_code(&misplaced).as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "scope")
    );
    let too_long = ask(&app(&calls, true), request(&"a".repeat(256))).await;
    assert_eq!(
        (too_long.status, problem_code(&too_long).as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "scope")
    );
    assert_eq!(calls.count(), 0);
}

/// The store may be passed as a value or behind a pointer.
#[tokio::test]
async fn a_scope_is_made_of_what_a_layer_outside_left() {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let scope = || scope_from(|account: &Account| Scope::new(&account.0));
    let pointer: Arc<dyn Store> = Arc::new(store.clone());
    for layer in
        [IdempotencyLayer::builder(store.clone(), scope()), IdempotencyLayer::builder(pointer, scope())]
    {
        let routes = Router::new().route("/", route(|| async { "answer" })).layer(layer.build().unwrap());
        let inside = routes.clone().layer(from_fn(authenticate));
        store.remove(&idem_core::Key::new(&Scope::new("alice").unwrap(), "k").unwrap(), true).await.unwrap();
        assert!(!ask(&inside, request("alice")).await.is_replayed());
        assert!(ask(&inside, request("alice")).await.is_replayed());
        // Without authentication outside.
        let reply = ask(&routes, request("alice")).await;
        assert_eq!(
            (reply.status, problem_code(&reply).as_str()),
            (StatusCode::INTERNAL_SERVER_ERROR, "scope")
        );
    }
}
