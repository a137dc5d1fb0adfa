//! The fingerprint of a request: its key is refused to any other request.

use axum::Router;
use axum::body::Body;
use axum::routing::post as route;
use http::{Method, Request, StatusCode};
use idem_core::Fingerprint;
use idem_http::{FingerprintRecipe, RequestUri};

use crate::support::{App, Calls, ask, problem_code};

fn app(recipe: Option<FingerprintRecipe>) -> App {
    let calls = Calls::default();
    let handler = move || async move { calls.add().to_string() };
    App::with(handler, |builder| match recipe {
        Some(recipe) => builder.fingerprint(recipe),
        None => builder,
    })
}

fn base() -> http::request::Builder {
    Request::post("/pay?a=1").header("idempotency-key", "k").header("content-type", "text/plain")
}

async fn is_the_same(app: &App, request: Request<Body>) -> bool {
    let reply = app.ask(request).await;
    if reply.is_replayed() {
        return true;
    }
    assert_eq!(
        (reply.status, problem_code(&reply).as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "key_reused")
    );
    false
}

#[tokio::test]
async fn each_part_of_the_standard_recipe_counts() {
    let app = app(None);
    app.ask(base().body(Body::from("body")).unwrap()).await;
    assert!(is_the_same(&app, base().body(Body::from("body")).unwrap()).await);
    let others = [
        base().body(Body::from("Body")).unwrap(),
        base().body(Body::empty()).unwrap(),
        base().method(Method::PATCH).body(Body::from("body")).unwrap(),
        base().uri("/other?a=1").body(Body::from("body")).unwrap(),
        base().uri("/pay?a=2").body(Body::from("body")).unwrap(),
        base().uri("/pay").body(Body::from("body")).unwrap(),
        base().header("content-type", "text/html").body(Body::from("body")).unwrap(),
        base().header("content-encoding", "gzip").body(Body::from("body")).unwrap(),
        base().header("if-match", "\"1\"").body(Body::from("body")).unwrap(),
        base().header("if-none-match", "*").body(Body::from("body")).unwrap(),
        base()
            .header("if-unmodified-since", "Fri, 27 Nov 2026 12:00:00 GMT")
            .body(Body::from("body"))
            .unwrap(),
        base().header("prefer", "return=minimal").body(Body::from("body")).unwrap(),
        base().header("x-http-method-override", "DELETE").body(Body::from("body")).unwrap(),
        Request::post("/pay?a=1").header("idempotency-key", "k").body(Body::from("body")).unwrap(),
    ];
    for other in others {
        let shown = format!("{other:?}");
        assert!(!is_the_same(&app, other).await, "{shown}");
    }
}

#[tokio::test]
async fn other_headers_may_differ() {
    let app = app(None);
    app.ask(base().body(Body::from("body")).unwrap()).await;
    let other =
        base().header("user-agent", "x").header("x-request-id", "7").body(Body::from("body")).unwrap();
    assert!(is_the_same(&app, other).await);
}

#[tokio::test]
async fn how_a_body_is_split_into_chunks_does_not_count() {
    let app = App::with(|| async { "paid" }, |builder| builder.request_uri(RequestUri::Unchanged));
    app.ask(base().body(Body::from("one two")).unwrap()).await;
    let pieces = http_body_util::BodyExt::map_err(
        http_body_util::Full::new(bytes::Buf::chain(&b"one "[..], &b"two"[..])),
        |never| match never {},
    );
    let pieces: http_body_util::combinators::UnsyncBoxBody<_, std::convert::Infallible> =
        http_body_util::combinators::UnsyncBoxBody::new(pieces);
    let request = base().body(pieces).unwrap();
    let service = tower::Layer::layer(
        &app.layer,
        tower::service_fn(|_request: Request<idem_http::RequestBody<_>>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
        }),
    );
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert!(response.headers().contains_key("idempotency-replayed"));
}

#[tokio::test]
async fn a_named_header_counts_with_all_its_values() {
    let recipe = FingerprintRecipe::new().header(http::HeaderName::from_static("x-version"));
    let app = app(Some(recipe));
    let request = |versions: &[&str]| {
        let builder = versions.iter().fold(base(), |builder, version| builder.header("x-version", *version));
        builder.body(Body::empty()).unwrap()
    };
    app.ask(request(&["1", "2"])).await;
    assert!(is_the_same(&app, request(&["1", "2"])).await);
    for versions in [&[][..], &["1"], &["2", "1"], &["12"]] {
        assert!(!is_the_same(&app, request(versions)).await, "{versions:?}");
    }
}

#[tokio::test]
async fn a_value_is_not_taken_for_a_name() {
    let names = ["x-a", "x-b"].map(http::HeaderName::from_static);
    let app = app(Some(names.into_iter().fold(FingerprintRecipe::new(), FingerprintRecipe::header)));
    app.ask(base().header("x-a", "x-b").body(Body::empty()).unwrap()).await;
    assert!(!is_the_same(&app, base().header("x-b", "x-b").body(Body::empty()).unwrap()).await);
}

#[tokio::test]
async fn a_custom_recipe_sees_the_request_and_its_body() {
    let recipe = FingerprintRecipe::own(|parts, body| {
        let length = (body.len() as u64).to_le_bytes();
        Fingerprint::builder("test 1").part(parts.uri.path()).part(length).finish()
    });
    let app = app(Some(recipe));
    app.ask(base().body(Body::from("four")).unwrap()).await;
    assert!(is_the_same(&app, base().body(Body::from("4444")).unwrap()).await);
    assert!(!is_the_same(&app, base().body(Body::from("five!")).unwrap()).await);
}

#[tokio::test]
async fn canonical_json_ignores_order_and_space_only() {
    let app = app(Some(FingerprintRecipe::new().canonical_json()));
    let json = |body: &'static str| {
        let request =
            Request::post("/").header("idempotency-key", "k").header("content-type", "application/json");
        request.body(Body::from(body)).unwrap()
    };
    app.ask(json(r#"{"to": "bob", "cents": 100}"#)).await;
    assert!(is_the_same(&app, json(r#"{"cents":1e2,"to":"b\u006fb"}"#)).await);
    for other in [
        r#"{"cents":101,"to":"bob"}"#,
        r#"{"cents":100,"to":"bob","to":"bob"}"#,
        r#"{"cents":100.000000000000000001,"to":"bob"}"#,
        "{",
    ] {
        assert!(!is_the_same(&app, json(other)).await, "{other}");
    }
}

/// Two routes that differ in their prefix alone, each with the layer inside its nested router.
#[tokio::test]
async fn nested_routes_of_axum_are_told_apart() {
    let app = app(None);
    let inside = || Router::new().route("/pay", route(|| async { "paid" })).layer(app.layer.clone());
    let router = Router::new().nest("/v1", inside()).nest("/v2", inside());
    let request = |uri: &str| Request::post(uri).header("idempotency-key", "k").body(Body::empty()).unwrap();
    assert_eq!(ask(&router, request("/v1/pay")).await.status, StatusCode::OK);
    assert!(ask(&router, request("/v1/pay")).await.is_replayed());
    assert_eq!(ask(&router, request("/v2/pay")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}
