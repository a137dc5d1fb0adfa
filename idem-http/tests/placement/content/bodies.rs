//! Limits of bodies: the layer's own, those outside, and those of axum's extractors.

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::post as route;
use http_body_util::{BodyExt, Full};
use tower_http::limit::RequestBodyLimitLayer;

use crate::support::{With, ask, builder, layer, post};

fn echo() -> Router {
    Router::new().route("/", route(|body: String| async move { body.len().to_string() }))
}

/// A body without a length known in advance.
fn stream(bytes: usize) -> Body {
    Body::new(Full::<bytes::Bytes>::from(vec![b'x'; bytes]).map_frame(|frame| frame).boxed())
}

#[tokio::test]
async fn a_limit_outside_is_413_and_leaves_no_record() {
    let app = echo().layer(layer()).layer(RequestBodyLimitLayer::new(100));
    let declared = post("/", "k").with("content-length", "101").with_body(vec![b'x'; 101]);
    assert_eq!(ask(&app, declared).await.kind(), (413, false));
    let streamed = ask(&app, post("/", "k").with_body(stream(101))).await;
    assert_eq!(streamed.kind(), (413, false));
    assert_eq!(ask(&app, post("/", "k").with_body("short")).await.kind(), (200, false));
}

/// The limit bounds what an extractor reads, and the layer has read the body before that.
#[tokio::test]
async fn a_limit_of_axums_extractors_is_the_handlers_own_answer_wherever_it_is_added() {
    for app in [
        echo().layer(layer()).layer(DefaultBodyLimit::max(100)),
        echo().layer(DefaultBodyLimit::max(100)).layer(layer()),
    ] {
        let long = || post("/", "k").with_body(vec![b'x'; 101]);
        assert_eq!(ask(&app, long()).await.kind(), (413, false));
        assert_eq!(ask(&app, long()).await.kind(), (413, true));
    }
}

/// Without a key only axum's own limit of 2 MB applies.
#[tokio::test]
async fn a_body_may_be_too_long_with_a_key_alone() {
    let body = || vec![b'x'; 1_500_000];
    let app = echo().layer(layer());
    assert_eq!(ask(&app, post("/", "k").with_body(body())).await.kind(), (413, false));
    let without = http::Request::post("/").body(Body::from(body())).unwrap();
    assert_eq!(ask(&app, without).await.kind(), (200, false));
    let app = echo().layer(builder().max_body(2_000_000).build().unwrap());
    assert_eq!(ask(&app, post("/", "k").with_body(body())).await.kind(), (200, false));
}
