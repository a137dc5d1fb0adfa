//! Authentication and authorisation stand outside: a replay never reaches what stands inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::support::{Desk, ask, desk_at_root, layer, post};

type Rights = Arc<AtomicBool>;

async fn check(State(rights): State<Rights>, request: Request, next: Next) -> Response {
    if rights.load(Ordering::SeqCst) {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

fn outside(desk: &Desk, rights: &Rights) -> Router {
    desk_at_root(desk).layer(layer()).layer(from_fn_with_state(Arc::clone(rights), check))
}

fn inside(desk: &Desk, rights: &Rights) -> Router {
    desk_at_root(desk).layer(from_fn_with_state(Arc::clone(rights), check)).layer(layer())
}

#[tokio::test]
async fn rights_that_are_taken_away_take_the_replay_away() {
    let (desk, rights) = (Desk::open(), Rights::new(true.into()));
    let app = outside(&desk, &rights);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, false));
    rights.store(false, Ordering::SeqCst);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (403, false));
    rights.store(true, Ordering::SeqCst);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, true));
    assert_eq!(desk.runs(), 1);
}

#[tokio::test]
async fn what_is_refused_outside_leaves_no_record() {
    let (desk, rights) = (Desk::open(), Rights::default());
    let app = outside(&desk, &rights);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (403, false));
    rights.store(true, Ordering::SeqCst);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, false));
}

/// The wrong way round.
#[tokio::test]
async fn inside_rights_no_longer_count_once_there_is_an_answer() {
    let (desk, rights) = (Desk::open(), Rights::new(true.into()));
    let app = inside(&desk, &rights);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, false));
    rights.store(false, Ordering::SeqCst);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (200, true));
}

/// The wrong way round.
#[tokio::test]
async fn inside_a_refusal_is_kept() {
    let (desk, rights) = (Desk::open(), Rights::default());
    let app = inside(&desk, &rights);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (403, false));
    rights.store(true, Ordering::SeqCst);
    assert_eq!(ask(&app, post("/", "k")).await.kind(), (403, true));
    assert_eq!(desk.runs(), 0);
}
