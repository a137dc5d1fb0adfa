//! Multipart forms: browsers and clients make a new boundary each time they send.

use axum::Router;
use axum::body::Body;
use axum::routing::post as route;
use http::Request;

use crate::support::{Desk, With, ask, layer, post};

/// A form with a field and a file, as a browser sends it.
fn form(key: &str, boundary: &str, cents: &str) -> Request<Body> {
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"cents\"\r\n\r\n{cents}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"slip\"; filename=\"slip.txt\"\r\n\
         Content-Type: text/plain\r\n\r\n--not a boundary\r\n--\r\n\r\n--{boundary}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    post("/", key).with("content-type", &kind).with_body(body)
}

fn app(desk: &Desk) -> Router {
    let desk = desk.clone();
    Router::new().route("/", route(move || async move { desk.serve().await })).layer(layer())
}

#[tokio::test]
async fn a_retry_with_a_new_boundary_is_the_same_request() {
    let desk = Desk::open();
    let app = app(&desk);
    assert_eq!(ask(&app, form("k", "----WebKitFormBoundaryOne", "12")).await.kind(), (200, false));
    assert_eq!(ask(&app, form("k", "----WebKitFormBoundaryTwo", "12")).await.kind(), (200, true));
    // A boundary of another length, and one in quotes.
    assert_eq!(ask(&app, form("k", "x", "12")).await.kind(), (200, true));
    let quoted = form("k", "a b", "12").with("content-type", "multipart/form-data; boundary=\"a b\"");
    assert_eq!(ask(&app, quoted).await.kind(), (200, true));
    assert_eq!(desk.runs(), 1);
}

#[tokio::test]
async fn another_field_is_another_request() {
    let app = app(&Desk::open());
    assert_eq!(ask(&app, form("k", "one", "12")).await.kind(), (200, false));
    assert_eq!(ask(&app, form("k", "two", "13")).await.kind(), (422, false));
    let other_kind = form("k", "one", "12").with("content-type", "multipart/mixed; boundary=one");
    assert_eq!(ask(&app, other_kind).await.kind(), (422, false));
}
