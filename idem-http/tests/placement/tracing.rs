//! Request logs and metrics stand outside, where they see replays and refusals too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use http::Response;
use tower_http::trace::TraceLayer;

use crate::support::{Desk, ask, desk_at_root, layer, post};

fn counted(router: Router, seen: &Arc<AtomicUsize>) -> Router {
    let seen = Arc::clone(seen);
    let count = move |_: &Response<_>, _: Duration, _: &tracing::Span| {
        seen.fetch_add(1, Ordering::SeqCst);
    };
    router.layer(TraceLayer::new_for_http().on_response(count))
}

#[tokio::test]
async fn outside_every_answer_is_seen_and_inside_executions_alone() {
    let (outside, inside) = (Arc::default(), Arc::default());
    let app = counted(desk_at_root(&Desk::open()), &inside).layer(layer());
    let app = counted(app, &outside);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, false));
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, true));
    assert_eq!(ask(&app, post("/?other", "k")).await.kind(), (422, false));
    assert_eq!((outside.load(Ordering::SeqCst), inside.load(Ordering::SeqCst)), (3, 1));
}
