//! Panics of a handler: the layer catches them itself, and what a layer inside makes of a panic is an answer like any
//! other.

use axum::Router;
use axum::routing::post as route;
use idem_http::{IdempotencyLayer, WhenHandlerFails};
use tower_http::catch_panic::CatchPanicLayer;

use crate::support::{ask, builder, post};

async fn panics() -> &'static str {
    panic!("as the test says")
}

fn routes() -> Router {
    Router::new().route("/", route(panics))
}

fn layer(when: WhenHandlerFails) -> IdempotencyLayer {
    builder().when_handler_panics(when).build().unwrap()
}

#[tokio::test]
async fn caught_by_the_layer_a_panic_ends_as_it_was_told() {
    // Outside, nothing is left to catch of requests with a key.
    let app = |when| routes().layer(layer(when)).layer(CatchPanicLayer::new());
    let kept = app(WhenHandlerFails::Keep);
    assert_eq!(ask(&kept, post("/", "k")).await.kind(), (500, false));
    assert_eq!(ask(&kept, post("/", "k")).await.kind(), (409, false));
    let released = app(WhenHandlerFails::Release);
    for _ in 0..2 {
        assert_eq!(ask(&released, post("/", "k")).await.kind(), (500, false));
    }
}

#[tokio::test]
async fn caught_inside_a_panic_is_an_answer_that_is_kept_whatever_the_layer_was_told() {
    let app = routes().layer(CatchPanicLayer::new()).layer(layer(WhenHandlerFails::Release));
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (500, false));
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (500, true));
}
