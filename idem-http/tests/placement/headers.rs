//! Headers that other layers add: outside to each answer, inside to the first one only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use http::HeaderValue;

use crate::support::{Desk, ask, desk_at_root, layer, post};

/// Adds a cookie and a header of the application's, with the number of the answer.
fn numbered(router: Router) -> Router {
    let answers = Arc::new(AtomicUsize::new(0));
    router.layer(map_response(move |mut response: Response| {
        let number = answers.fetch_add(1, Ordering::SeqCst) + 1;
        response.headers_mut().insert("set-cookie", HeaderValue::from(number));
        response.headers_mut().insert("x-served-by", HeaderValue::from(number));
        async move { response }
    }))
}

#[tokio::test]
async fn outside_they_are_of_each_answer() {
    let app = numbered(desk_at_root(&Desk::open()).layer(layer()));
    ask(&app, post("/", "k")).await;
    let replay = ask(&app, post("/", "k")).await;
    assert_eq!(replay.kind(), (200, true));
    assert_eq!([replay.header("set-cookie"), replay.header("x-served-by")], [Some("2"), Some("2")]);
}

#[tokio::test]
async fn inside_a_replay_has_those_of_the_first_answer_without_its_cookies() {
    let app = numbered(desk_at_root(&Desk::open())).layer(layer());
    let first = ask(&app, post("/", "k")).await;
    assert_eq!([first.header("set-cookie"), first.header("x-served-by")], [Some("1"), Some("1")]);
    let replay = ask(&app, post("/", "k")).await;
    assert_eq!(replay.kind(), (200, true));
    assert_eq!([replay.header("set-cookie"), replay.header("x-served-by")], [None, Some("1")]);
}
