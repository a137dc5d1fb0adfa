//! Task-locals: those set inside the layer stay when the client leaves, those set outside only with `when_detached`.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use idem_http::IdempotencyLayer;

use crate::support::{Desk, ask, builder, layer, post};

tokio::task_local! {
    static TENANT: u64;
}

async fn tenant(request: Request, next: Next) -> Response {
    TENANT.scope(7, next.run(request)).await
}

/// The client leaves while its handler runs. Returns what the handler saw after that, by a retry.
async fn seen_after_its_client_left(layer: IdempotencyLayer, is_inside: bool) -> String {
    let desk = Desk::closed();
    let waiting = desk.clone();
    let handler = move || async move {
        waiting.serve().await;
        TENANT.try_with(|tenant| *tenant).map_or("gone".to_owned(), |tenant| tenant.to_string())
    };
    let routes = axum::Router::new().route("/", axum::routing::post(handler));
    let app = if is_inside {
        routes.layer(from_fn(tenant)).layer(layer.clone())
    } else {
        routes.layer(layer.clone()).layer(from_fn(tenant))
    };
    let asked = app.clone();
    let client = tokio::spawn(async move { ask(&asked, post("/", "k")).await });
    desk.entered().await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    desk.let_one_go();
    layer.running().ended().await;
    let retry = ask(&app, post("/", "k")).await;
    assert!(retry.is_replayed());
    retry.text().to_owned()
}

#[tokio::test]
async fn set_inside_they_stay_when_the_client_leaves() {
    assert_eq!(seen_after_its_client_left(layer(), true).await, "7");
}

#[tokio::test]
async fn set_outside_they_are_gone_unless_when_detached_takes_them_along() {
    assert_eq!(seen_after_its_client_left(layer(), false).await, "gone");
    let taken_along = builder().when_detached(|rest| match TENANT.try_get() {
        Ok(tenant) => Box::pin(TENANT.scope(tenant, rest)),
        Err(_) => rest,
    });
    assert_eq!(seen_after_its_client_left(taken_along.build().unwrap(), false).await, "7");
}
