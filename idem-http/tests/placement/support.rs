//! A layer over a store in memory, a handler that waits for the test, and sending requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use idem_core::Scope;
use idem_http::{IdempotencyLayer, IdempotencyLayerBuilder};
use idem_moka::{MokaConfig, MokaStore};
use tokio::sync::Semaphore;
use tower::ServiceExt;

pub(crate) fn builder() -> IdempotencyLayerBuilder {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
}

pub(crate) fn layer() -> IdempotencyLayer {
    builder().build().unwrap()
}

/// A `POST` under this key.
pub(crate) fn post(uri: &str, key: &str) -> Request<Body> {
    Request::post(uri).header("idempotency-key", key).body(Body::empty()).unwrap()
}

pub(crate) trait With {
    fn with(self, name: &'static str, value: &str) -> Self;
    fn with_body(self, body: impl Into<Body>) -> Self;
}

impl With for Request<Body> {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    fn with_body(self, body: impl Into<Body>) -> Self {
        self.map(|_| body.into())
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }

    /// Its status, and whether it is a replay.
    pub(crate) fn kind(&self) -> (u16, bool) {
        (self.status.as_u16(), self.is_replayed())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

/// A handler that counts its runs, and waits in each until the test lets it go on.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    runs: Arc<AtomicUsize>,
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Desk {
    /// A desk whose handler does not wait.
    pub(crate) fn open() -> Self {
        let open = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2));
        Self { runs: Arc::default(), entered: Arc::new(Semaphore::new(0)), open }
    }

    /// A desk whose handler waits in each run.
    pub(crate) fn closed() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), ..Self::open() }
    }

    /// For the handler: waits, and returns the number of the run.
    pub(crate) async fn serve(&self) -> String {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        self.entered.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        run.to_string()
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until a handler has arrived.
    pub(crate) async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Lets one handler go on.
    pub(crate) fn let_one_go(&self) {
        self.open.add_permits(1);
    }
}

/// A router with the desk's handler at `/`.
pub(crate) fn desk_at_root(desk: &Desk) -> Router {
    let desk = desk.clone();
    Router::new().route("/", axum::routing::post(move || async move { desk.serve().await }))
}
