//! CORS stands outside: its headers follow the request that is answered, not the first one.

use axum::Router;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, Request};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::support::{Answer, Desk, With, ask, desk_at_root, layer, post};

const ONE: &str = "https://one.example";
const OTHER: &str = "https://other.example";

fn cors() -> CorsLayer {
    let names = ["idempotency-replayed", "idempotency-not-kept"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list([ONE, OTHER].map(HeaderValue::from_static)))
        .allow_methods([Method::POST, Method::PATCH])
        .allow_headers([CONTENT_TYPE, HeaderName::from_static("idempotency-key")])
        .expose_headers([RETRY_AFTER].into_iter().chain(names).collect::<Vec<_>>())
}

fn outside(desk: &Desk) -> Router {
    desk_at_root(desk).layer(layer()).layer(cors())
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn a_preflight_is_answered_outside_and_allows_the_key() {
    let desk = Desk::open();
    let preflight = Request::options("/")
        .header("origin", ONE)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = ask(&outside(&desk), preflight).await;
    assert_eq!((answer.kind(), allowed(&answer)), ((200, false), Some(ONE)));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    assert_eq!(desk.runs(), 0);
}

#[tokio::test]
async fn a_replay_allows_the_origin_of_its_own_request() {
    let app = outside(&Desk::open());
    assert_eq!(allowed(&ask(&app, post("/", "k").with("origin", ONE)).await), Some(ONE));
    let replay = ask(&app, post("/", "k").with("origin", OTHER)).await;
    assert_eq!((replay.kind(), allowed(&replay)), ((200, true), Some(OTHER)));
    assert!(replay.header("access-control-expose-headers").unwrap().contains("idempotency-replayed"));
    let nobody = ask(&app, post("/", "k").with("origin", "https://nobody.example")).await;
    assert_eq!((nobody.kind(), allowed(&nobody)), ((200, true), None));
}

#[tokio::test]
async fn a_script_can_read_a_refusal() {
    let app = outside(&Desk::open());
    ask(&app, post("/", "k").with("origin", ONE)).await;
    let reused = ask(&app, post("/?other", "k").with("origin", ONE)).await;
    assert_eq!((reused.kind(), allowed(&reused)), ((422, false), Some(ONE)));
}

/// The wrong way round.
#[tokio::test]
async fn inside_a_replay_allows_the_first_origin_and_no_script_can_read_a_refusal() {
    let app = desk_at_root(&Desk::open()).layer(cors()).layer(layer());
    ask(&app, post("/", "k").with("origin", ONE)).await;
    let replay = ask(&app, post("/", "k").with("origin", OTHER)).await;
    assert_eq!((replay.kind(), allowed(&replay)), ((200, true), Some(ONE)));
    let reused = ask(&app, post("/?other", "k").with("origin", ONE)).await;
    assert_eq!((reused.kind(), allowed(&reused)), ((422, false), None));
}
