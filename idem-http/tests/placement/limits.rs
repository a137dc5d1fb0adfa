//! Limits of concurrency and rate limits: what each counts, outside and inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::task::yield_now;
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer};
use tower::{BoxError, ServiceBuilder};

use crate::support::{Answer, Desk, ask, desk_at_root, layer, post};

fn spawn(app: &Router, key: &'static str) -> tokio::task::JoinHandle<Answer> {
    let app = app.clone();
    tokio::spawn(async move { ask(&app, post("/", key)).await })
}

async fn busy(_: BoxError) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// What `axum::serve` does first. Otherwise each request would create the services of its route anew, with their limits.
fn served(app: Router) -> Router {
    app.with_state(())
}

/// Lets other tasks run as far as they can.
async fn let_others_run() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_limit_outside_does_not_count_handlers_whose_clients_left() {
    let desk = Desk::closed();
    let app = served(desk_at_root(&desk).layer(layer()).layer(ConcurrencyLimitLayer::new(1)));
    for key in ["a", "b", "c"] {
        let client = spawn(&app, key);
        desk.entered().await;
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
    }
    assert_eq!(desk.runs(), 3);
}

#[tokio::test]
async fn a_limit_inside_counts_handlers_whose_clients_left() {
    let desk = Desk::closed();
    let app = served(desk_at_root(&desk).layer(ConcurrencyLimitLayer::new(1)).layer(layer()));
    let client = spawn(&app, "a");
    desk.entered().await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    let next = spawn(&app, "b");
    let_others_run().await;
    assert_eq!(desk.runs(), 1);
    desk.let_one_go();
    desk.entered().await;
    desk.let_one_go();
    assert_eq!(next.await.unwrap().text(), "2");
}

/// The layer is always ready, so there is nothing to shed: requests wait inside.
#[tokio::test]
async fn a_load_shed_outside_sheds_nothing_of_a_limit_inside() {
    let desk = Desk::closed();
    let limited = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(busy))
        .load_shed()
        .layer(layer())
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let app = served(desk_at_root(&desk).layer(limited));
    let first = spawn(&app, "a");
    desk.entered().await;
    let second = spawn(&app, "b");
    let_others_run().await;
    assert!(!second.is_finished());
    desk.let_one_go();
    desk.let_one_go();
    assert_eq!([first.await.unwrap().kind(), second.await.unwrap().kind()], [(200, false), (200, false)]);
}

#[tokio::test]
async fn a_load_shed_with_its_limit_outside_sheds_replays_too() {
    let desk = Desk::closed();
    let limited = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(busy))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let app = served(desk_at_root(&desk).layer(layer()).layer(limited));
    desk.let_one_go();
    assert_eq!(ask(&app, post("/", "a")).await.kind(), (200, false));
    desk.entered().await;
    let slow = spawn(&app, "b");
    desk.entered().await;
    assert_eq!(ask(&app, post("/", "a")).await.kind(), (503, false));
    desk.let_one_go();
    assert_eq!(slow.await.unwrap().kind(), (200, false));
    assert_eq!(ask(&app, post("/", "a")).await.kind(), (200, true));
}

#[tokio::test]
async fn a_load_shed_with_its_limit_inside_gives_the_key_back_and_sheds_no_replay() {
    let desk = Desk::closed();
    let limited = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(busy))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let app = served(desk_at_root(&desk).layer(limited).layer(layer()));
    desk.let_one_go();
    assert_eq!(ask(&app, post("/", "a")).await.text(), "1");
    desk.entered().await;
    let slow = spawn(&app, "b");
    desk.entered().await;
    assert_eq!(ask(&app, post("/", "a")).await.kind(), (200, true));
    assert_eq!(ask(&app, post("/", "c")).await.kind(), (503, false));
    desk.let_one_go();
    assert_eq!(slow.await.unwrap().text(), "2");
    desk.let_one_go();
    assert_eq!(ask(&app, post("/", "c")).await.text(), "3");
}

/// axum makes a service for each route, and tower's layer a limit for each service.
#[tokio::test]
async fn on_axum_a_limit_is_of_each_route_unless_it_is_global() {
    for (is_global, expected) in [(false, 2), (true, 1)] {
        let desk = Desk::closed();
        let routes = desk_at_root(&desk).nest("/other", desk_at_root(&desk));
        let limited = if is_global {
            routes.layer(GlobalConcurrencyLimitLayer::new(1))
        } else {
            routes.layer(ConcurrencyLimitLayer::new(1))
        };
        let app = served(limited.layer(layer()));
        let first = spawn(&app, "a");
        desk.entered().await;
        let other = tokio::spawn(async move { ask(&app, post("/other", "b")).await });
        let_others_run().await;
        assert_eq!(desk.runs(), expected, "global: {is_global}");
        desk.let_one_go();
        desk.let_one_go();
        assert_eq!([first.await.unwrap().kind(), other.await.unwrap().kind()], [(200, false), (200, false)]);
    }
}

/// A router that is called directly creates the service of a route for each request, and with it the limit of tower's
/// layer.
#[tokio::test]
async fn on_axum_a_router_that_is_called_as_it_is_has_no_limit_unless_it_is_global() {
    for (is_global, expected) in [(false, 2), (true, 1)] {
        let desk = Desk::closed();
        let app = if is_global {
            desk_at_root(&desk).layer(GlobalConcurrencyLimitLayer::new(1)).layer(layer())
        } else {
            desk_at_root(&desk).layer(ConcurrencyLimitLayer::new(1)).layer(layer())
        };
        let asked = [spawn(&app, "a"), spawn(&app, "b")];
        let_others_run().await;
        assert_eq!(desk.runs(), expected, "global: {is_global}");
        desk.let_one_go();
        desk.let_one_go();
        for asked in asked {
            assert_eq!(asked.await.unwrap().kind(), (200, false));
        }
    }
}

async fn rate(State(is_spent): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    if is_spent.load(Ordering::SeqCst) {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    next.run(request).await
}

#[tokio::test]
async fn a_rate_limit_outside_counts_replays_and_inside_gives_the_key_back() {
    let (desk, is_spent) = (Desk::open(), Arc::new(AtomicBool::new(false)));
    let limit = || from_fn_with_state(Arc::clone(&is_spent), rate);
    let outside = desk_at_root(&desk).layer(layer()).layer(limit());
    let inside = desk_at_root(&desk).layer(limit()).layer(layer());
    for app in [&outside, &inside] {
        assert_eq!(ask(app, post("/", "a")).await.kind(), (200, false));
    }
    is_spent.store(true, Ordering::SeqCst);
    assert_eq!(ask(&outside, post("/", "a")).await.kind(), (429, false));
    assert_eq!(ask(&inside, post("/", "a")).await.kind(), (200, true));
    assert_eq!(ask(&inside, post("/", "b")).await.kind(), (429, false));
    is_spent.store(false, Ordering::SeqCst);
    assert_eq!(ask(&inside, post("/", "b")).await.kind(), (200, false));
}
