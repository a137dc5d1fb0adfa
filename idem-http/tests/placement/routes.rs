//! `layer`, `route_layer`, `nest`, `merge`: which requests the layer sees, and as what.

use axum::Router;
use axum::routing::post as route;
use http::Request;
use idem_http::KeyRule;

use crate::support::{Desk, ask, builder, desk_at_root, layer, post};

fn without_key(uri: &str) -> Request<axum::body::Body> {
    Request::post(uri).body(axum::body::Body::empty()).unwrap()
}

#[tokio::test]
async fn with_route_layer_a_path_of_nobody_is_404_though_keys_are_required() {
    let layer = builder().key(KeyRule::Required).build().unwrap();
    let app = desk_at_root(&Desk::open()).route_layer(layer.clone());
    assert_eq!(ask(&app, without_key("/nobody")).await.kind(), (404, false));
    assert_eq!(ask(&app, without_key("/")).await.kind(), (400, false));
    // With `layer` the client is told that the key is missing.
    let app = desk_at_root(&Desk::open()).layer(layer);
    assert_eq!(ask(&app, without_key("/nobody")).await.kind(), (400, false));
}

#[tokio::test]
async fn a_fallback_of_the_applications_is_covered_by_layer_alone() {
    let app = |desk: &Desk| {
        let desk = desk.clone();
        desk_at_root(&Desk::open()).fallback(move || async move { desk.serve().await })
    };
    let desk = Desk::open();
    let covered = app(&desk).layer(layer());
    assert_eq!(ask(&covered, post("/anywhere", "k")).await.text(), "1");
    assert_eq!(ask(&covered, post("/anywhere", "k")).await.kind(), (200, true));
    let uncovered = app(&desk).route_layer(layer());
    assert_eq!(ask(&uncovered, post("/anywhere", "k")).await.text(), "2");
    assert_eq!(ask(&uncovered, post("/anywhere", "k")).await.text(), "3");
}

#[tokio::test]
async fn a_route_that_is_added_after_the_layer_runs_for_every_retry() {
    let desk = Desk::open();
    let app =
        Router::new().route("/before", route(|| async { "once" })).layer(layer()).merge(desk_at_root(&desk));
    assert_eq!(ask(&app, post("/", "k")).await.text(), "1");
    assert_eq!(ask(&app, post("/", "k")).await.text(), "2");
    ask(&app, post("/before", "k")).await;
    assert_eq!(ask(&app, post("/before", "k")).await.kind(), (200, true));
}

/// With one store and one scope a key belongs to one request, in whichever nested router.
#[tokio::test]
async fn a_key_is_of_one_route_whether_the_layer_stands_around_a_nest_or_inside() {
    let desk = Desk::open();
    let one = layer();
    let inside = Router::new()
        .nest("/v1", desk_at_root(&desk).layer(one.clone()))
        .nest("/v2", desk_at_root(&desk).layer(one));
    let around =
        Router::new().nest("/v1", desk_at_root(&desk)).nest("/v2", desk_at_root(&desk)).layer(layer());
    for app in [inside, around] {
        assert_eq!(ask(&app, post("/v1", "k")).await.kind(), (200, false));
        assert_eq!(ask(&app, post("/v1", "k")).await.kind(), (200, true));
        assert_eq!(ask(&app, post("/v2", "k")).await.kind(), (422, false));
    }
}
