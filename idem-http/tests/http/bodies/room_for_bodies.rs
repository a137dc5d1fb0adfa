//! Who finds room for a body, and who does not.

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use idem_core::Scope;
use idem_http::IdempotencyLayer;
use idem_moka::{MokaConfig, MokaStore};

use crate::support::{App, channel_of, frames, post, until};

#[tokio::test]
async fn one_account_leaves_room_to_the_others_whatever_the_largest_body() {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let layer =
        IdempotencyLayer::builder(store, |parts| Ok(Scope::new(parts.headers["account"].as_bytes())?));
    // As by default with a `max_body` of 64 MiB or more.
    let layer = layer.max_body(10_000).max_bodies_bytes(10_000).build().unwrap();
    let app = axum::Router::new().route("/", axum::routing::post(|body: Bytes| async move { body }));
    let router = app.layer(layer.clone());
    let ask = |account: &str, key: &str, body: Body| {
        let mut request = post(key, body);
        request.headers_mut().insert("account", account.parse().unwrap());
        let router = router.clone();
        tokio::spawn(async move { crate::support::ask(&router, request).await })
    };
    let mut half_sent = Vec::new();
    for key in 0..100 {
        let (body, sender) = channel_of(SizeHint::with_exact(200));
        let asked = ask("flood", &key.to_string(), body);
        sender.send("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789");
        half_sent.push((asked, sender));
        let len = half_sent.len();
        until(|| layer.bodies_bytes() == len * 100 || half_sent[len - 1].0.is_finished()).await;
    }
    let mut served = 0;
    for account in 0..8 {
        let answer = ask(&account.to_string(), "k", "x".repeat(100).into()).await.unwrap();
        served += usize::from(answer.status == StatusCode::OK);
    }
    assert!(served >= 6, "{served} of 8 while one account holds {}", layer.bodies_bytes());
}

#[tokio::test]
async fn a_body_for_which_there_is_room_is_taken_though_there_is_none_for_its_double() {
    let app = App::with(
        |body: Bytes| async move { body.len().to_string() },
        |b| b.max_body(100).max_bodies_bytes(100),
    );
    let (body, sender) = channel_of(SizeHint::with_exact(20));
    let router = app.router.clone();
    let other = tokio::spawn(async move { crate::support::ask(&router, post("other", body)).await });
    sender.send("0123456789");
    until(|| app.layer.bodies_bytes() >= 10).await;
    // 60 bytes of the 90 that are free, without a length known before.
    let pieces = [50, 10].map(|len| Frame::data(Bytes::from(vec![b'x'; len])));
    let answer = app.ask(post("k", frames(pieces))).await;
    assert_eq!(answer.text(), "60");
    drop((other, sender));
}
