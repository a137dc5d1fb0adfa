//! The route, bare and under the layer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use idem_benches::Result;
use idem_core::{Scope, Store};
use idem_http::IdempotencyLayer;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The length of an answer's body, in bytes.
pub(crate) const BODY: usize = 1_024;

/// A route that takes a small body, and answers with one of 1 KiB.
pub(crate) fn bare() -> Router {
    let answer = Bytes::from(vec![b'x'; BODY]);
    Router::new().route("/payments", post(move |_: Bytes| async move { answer }))
}

pub(crate) fn layered(store: Arc<dyn Store>) -> Result<Router> {
    Ok(bare().layer(IdempotencyLayer::builder(store, |_| Ok(Scope::shared())).build()?))
}

/// Serves until it is dropped.
pub(crate) struct Server {
    addr: SocketAddr,
    task: AbortHandle,
}

impl Server {
    pub(crate) async fn start(router: Router) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { addr, task })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
