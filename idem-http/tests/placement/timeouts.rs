//! Time limits: outside they end the waiting of a client, inside the work of a handler.

use std::time::Duration;

use http::StatusCode;
use tower_http::timeout::TimeoutLayer;

use crate::support::{Desk, ask, builder, desk_at_root, layer, post};

fn limit(status: StatusCode) -> TimeoutLayer {
    TimeoutLayer::with_status_code(status, Duration::from_secs(5))
}

#[tokio::test(start_paused = true)]
async fn outside_a_late_handler_runs_on_and_its_answer_is_kept() {
    let desk = Desk::closed();
    let layer = layer();
    let app = desk_at_root(&desk).layer(layer.clone()).layer(limit(StatusCode::GATEWAY_TIMEOUT));
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (504, false));
    assert_eq!((layer.running().count(), ask(&app, post("/", "k")).await.kind()), (1, (409, false)));
    desk.let_one_go();
    layer.running().ended().await;
    let retry = ask(&app, post("/", "k")).await;
    assert_eq!((retry.kind(), retry.text()), ((200, true), "1"));
}

/// Nobody knows how far the handler had come.
#[tokio::test(start_paused = true)]
async fn inside_a_late_handler_is_dropped_and_does_not_run_again() {
    let desk = Desk::closed();
    let app = desk_at_root(&desk).layer(limit(StatusCode::GATEWAY_TIMEOUT)).layer(layer());
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (504, false));
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (504, true));
    assert_eq!(desk.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_layers_own_limit_says_that_what_was_done_is_unknown() {
    let desk = Desk::closed();
    let app = desk_at_root(&desk).layer(builder().handler_timeout(Duration::from_secs(5)).build().unwrap());
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (504, false));
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (409, false));
    assert_eq!(desk.runs(), 1);
}

/// The limit's 503 says that nothing was executed, which the limit cannot know.
#[tokio::test(start_paused = true)]
async fn inside_a_limit_that_answers_503_lets_a_retry_run_again() {
    let desk = Desk::closed();
    let app = desk_at_root(&desk).layer(limit(StatusCode::SERVICE_UNAVAILABLE)).layer(layer());
    for runs in 1..3 {
        assert_eq!(ask(&app, post("/", "k")).await.kind(), (503, false));
        assert_eq!(desk.runs(), runs);
    }
}
