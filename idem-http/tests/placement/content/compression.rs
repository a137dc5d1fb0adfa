//! Compression stands outside, so that every retry can read what is kept.

use std::io::{Read, Write};

use axum::Router;
use axum::routing::post as route;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::support::{Answer, Desk, With, ask, builder, layer, post};

fn words() -> String {
    "long enough to be compressed ".repeat(100)
}

/// Answers with a long text and the number of the run.
fn routes(desk: &Desk) -> Router {
    let desk = desk.clone();
    Router::new().route("/", route(move || async move { words() + &desk.serve().await }))
}

fn is_gzip(answer: &Answer) -> bool {
    answer.header("content-encoding") == Some("gzip")
}

fn plain(answer: &Answer) -> String {
    let mut text = String::new();
    if !is_gzip(answer) {
        return answer.text().to_owned();
    }
    GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn outside_each_retry_gets_the_coding_that_it_accepts() {
    let desk = Desk::open();
    let app = routes(&desk).layer(layer()).layer(CompressionLayer::new());
    let first = ask(&app, post("/", "k").with("accept-encoding", "gzip")).await;
    assert!(is_gzip(&first) && !first.is_replayed());
    let other = ask(&app, post("/", "k")).await;
    assert!(!is_gzip(&other) && other.is_replayed());
    let third = ask(&app, post("/", "k").with("accept-encoding", "gzip")).await;
    assert!(is_gzip(&third) && third.is_replayed());
    assert_eq!([plain(&first), plain(&other), plain(&third)], [words() + "1", words() + "1", words() + "1"]);
}

/// The layer asks what stands inside for an answer without a coding.
#[tokio::test]
async fn inside_nothing_is_compressed_so_that_every_retry_can_read_it() {
    let desk = Desk::open();
    let app = routes(&desk).layer(CompressionLayer::new()).layer(layer());
    let first = ask(&app, post("/", "k").with("accept-encoding", "gzip")).await;
    let retry = ask(&app, post("/", "k")).await;
    assert!(!is_gzip(&retry) && retry.is_replayed(), "{retry:?}");
    assert_eq!([plain(&first), plain(&retry)], [words() + "1", words() + "1"]);
    // The answer to a request without a key is compressed as usual.
    let without_key = http::Request::post("/").header("accept-encoding", "gzip");
    assert!(is_gzip(&ask(&app, without_key.body(axum::body::Body::empty()).unwrap()).await));
}

#[tokio::test]
async fn a_handler_is_asked_for_no_coding_and_sees_none_where_its_client_named_none() {
    let accepted = |headers: HeaderMap| async move {
        headers.get(ACCEPT_ENCODING).map_or("none", |value| value.to_str().unwrap()).to_owned()
    };
    let app = Router::new().route("/", route(accepted)).layer(layer());
    assert_eq!(ask(&app, post("/", "a").with("accept-encoding", "br, gzip")).await.text(), "identity");
    assert_eq!(ask(&app, post("/", "b")).await.text(), "none");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn echo() -> Router {
    Router::new().route("/", route(|body: String| async move { body }))
}

#[tokio::test]
async fn requests_that_are_inflated_outside_may_come_again_in_another_coding() {
    let app = echo().layer(layer()).layer(RequestDecompressionLayer::new());
    let first = post("/", "k").with("content-encoding", "gzip").with_body(gzip("pay"));
    assert_eq!(ask(&app, first).await.text(), "pay");
    assert_eq!(ask(&app, post("/", "k").with_body("pay")).await.kind(), (200, true));
    // With decompression inside, the compressed bytes are the request.
    let app = echo().layer(RequestDecompressionLayer::new()).layer(layer());
    let first = post("/", "k").with("content-encoding", "gzip").with_body(gzip("pay"));
    assert_eq!(ask(&app, first).await.text(), "pay");
    assert_eq!(ask(&app, post("/", "k").with_body("pay")).await.kind(), (422, false));
}

#[tokio::test]
async fn a_body_that_is_inflated_outside_is_bounded_as_it_is_then() {
    let layer = builder().max_body(1_000).build().unwrap();
    let app = echo().layer(layer).layer(RequestDecompressionLayer::new());
    let bomb = gzip(&"0".repeat(100_000));
    assert!(bomb.len() < 1_000);
    let answer = ask(&app, post("/", "k").with("content-encoding", "gzip").with_body(bomb)).await;
    assert_eq!(answer.kind(), (413, false));
}
