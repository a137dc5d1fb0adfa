//! A layer whose scopes are accounts, and requests of several of them.

use axum::Router;
use axum::body::Body;
use axum::routing::post as route;
use bytes::Bytes;
use http::StatusCode;
use idem_core::Scope;
use idem_http::IdempotencyLayer;
use idem_moka::{MokaConfig, MokaStore};
use tokio::task::JoinHandle;

use crate::support::{Reply, ask, post};

/// A handler that echoes bodies, under a layer that takes the account from a header.
pub(crate) struct Accounts {
    pub(crate) layer: IdempotencyLayer,
    router: Router,
}

impl Accounts {
    pub(crate) fn new(max_body: usize, max_bodies_bytes: usize) -> Self {
        let store = MokaStore::new(MokaConfig::default()).unwrap();
        let layer =
            IdempotencyLayer::builder(store, |parts| Ok(Scope::new(parts.headers["account"].as_bytes())?));
        let layer = layer.max_body(max_body).max_bodies_bytes(max_bodies_bytes).build().unwrap();
        let router = Router::new().route("/", route(|body: Bytes| async move { body })).layer(layer.clone());
        Self { layer, router }
    }

    pub(crate) fn ask(&self, account: &str, key: &str, body: impl Into<Body>) -> JoinHandle<Reply> {
        let mut request = post(key, body);
        request.headers_mut().insert("account", account.parse().unwrap());
        let router = self.router.clone();
        tokio::spawn(async move { ask(&router, request).await })
    }

    /// How many of eight other accounts are served while one floods the layer. Scopes are counted in slots by chance, so
    /// one or two of the others may share the slot of the flood.
    pub(crate) async fn others_served(&self) -> usize {
        let mut served = 0;
        for account in 0..8 {
            let answer = self.ask(&account.to_string(), "k", "x".repeat(100)).await.unwrap();
            served += usize::from(answer.status == StatusCode::OK);
        }
        served
    }
}
