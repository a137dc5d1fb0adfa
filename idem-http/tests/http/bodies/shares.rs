//! However a request ends, its scope gets its whole share back.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::{Frame, SizeHint};
use idem_core::{Fingerprint, Scope};
use idem_http::{FingerprintRecipe, IdempotencyLayer};
use idem_moka::{MokaConfig, MokaStore};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::support::{HUNDRED, channel_of, frames, post};

const MOST: usize = 10_000;

fn of_tenant(key: &str, body: Body, how: &str) -> Request<Body> {
    let mut request = post(key, body);
    request.headers_mut().insert("account", "tenant".parse().unwrap());
    request.headers_mut().insert("x-how", how.parse().unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn however_a_request_ends_its_scope_gets_its_whole_share_back() {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let scope = |parts: &http::request::Parts| Ok(Scope::new(parts.headers["account"].as_bytes())?);
    let recipe = FingerprintRecipe::own(|parts, body| {
        assert!(parts.headers["x-how"] != "recipe panics");
        Fingerprint::builder("test").part(body).finish()
    });
    let layer =
        IdempotencyLayer::builder(store, scope).fingerprint(recipe).max_body(MOST).max_bodies_bytes(MOST);
    let layer = layer.build().unwrap();
    let handler = |headers: HeaderMap, body: Bytes| async move {
        assert!(headers["x-how"] != "handler panics");
        if headers["x-how"] == "never" {
            std::future::pending::<()>().await;
        }
        body
    };
    let router = axum::Router::new().route("/", axum::routing::post(handler)).layer(layer.clone());
    let ask = |key: &str, body: Body, how: &str| {
        tokio::spawn(timeout(Duration::from_secs(90), router.clone().oneshot(of_tenant(key, body, how))))
    };
    let large = || Body::from("x".repeat(MOST));
    let trailers = || frames([Frame::data(Bytes::from(vec![b'x'; MOST])), Frame::trailers(HeaderMap::new())]);
    for round in 0..3 {
        let stalled = || {
            let (body, sender) = channel_of(SizeHint::default());
            sender.send("0123456789");
            sender.send(HUNDRED);
            (body, sender)
        };
        let (late, _late) = stalled();
        let (broken, breaking) = stalled();
        breaking.break_off();
        let (long, sender) = stalled();
        for _ in 0..MOST / 100 {
            sender.send(HUNDRED);
        }
        for (number, (body, how)) in [
            (large(), "first"),
            (large(), "replay"),
            (trailers(), "replay with trailers"),
            (Body::from("other"), "mismatch"),
            (late, "late"),
            (broken, "broken"),
            (long, "too long"),
            (large(), "recipe panics"),
            (large(), "handler panics"),
            (large(), "never"),
        ]
        .into_iter()
        .enumerate()
        {
            let key = if number < 4 { "same".to_owned() } else { format!("{round} {number}") };
            let _ended = ask(&key, body, how).await;
            let fits =
                ask(&format!("{round} {number} fits"), large(), "after").await.unwrap().unwrap().unwrap();
            assert_eq!((fits.status(), layer.bodies_bytes()), (StatusCode::OK, 0), "after {how}");
        }
        let (body, _sender) = stalled();
        let left = ask("left", body, "left");
        tokio::task::yield_now().await;
        left.abort();
        let _left = left.await;
        assert_eq!(layer.bodies_bytes(), 0);
    }
}
