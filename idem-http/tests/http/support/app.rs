//! An application under the layer, called in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use idem_core::clock::SystemClock;
use idem_core::{Scope, Store};
use idem_http::{IdempotencyLayer, IdempotencyLayerBuilder, RequestUri};
use idem_moka::{MokaConfig, MokaStore};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// A layer, and a router inside it with one handler at `/` and everything below.
pub(crate) struct App {
    pub(crate) layer: IdempotencyLayer,
    pub(crate) router: Router,
}

impl App {
    /// Over a new store in memory.
    pub(crate) fn new<T: 'static>(handler: impl Handler<T, ()>) -> Self {
        Self::with(handler, |builder| builder)
    }

    pub(crate) fn with<T: 'static>(
        handler: impl Handler<T, ()>,
        options: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder,
    ) -> Self {
        Self::over(Arc::new(MokaStore::new(MokaConfig::default()).unwrap()), handler, options)
    }

    pub(crate) fn over<T: 'static>(
        store: Arc<dyn Store>,
        handler: impl Handler<T, ()>,
        options: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder,
    ) -> Self {
        let layer = options(shared_scope(store)).build().unwrap();
        let routes = Router::new().route("/", any(handler.clone())).route("/{*path}", any(handler));
        Self { router: routes.layer(layer.clone()), layer }
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Reply {
        ask(&self.router, request).await
    }
}

/// A layer for a service without a router around it.
pub(crate) fn bare_layer() -> IdempotencyLayer {
    builder().request_uri(RequestUri::Unchanged).build().unwrap()
}

/// A builder over a new store in memory.
pub(crate) fn builder() -> IdempotencyLayerBuilder {
    shared_scope(Arc::new(MokaStore::new(MokaConfig::default()).unwrap()))
}

pub(crate) fn shared_scope(store: Arc<dyn Store>) -> IdempotencyLayerBuilder {
    IdempotencyLayer::builder(store, |_| Ok(Scope::shared()))
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Reply {
    Reply::read(router.clone().oneshot(request).await.unwrap()).await
}

/// A `POST` to `/` under this key, as the draft writes it.
pub(crate) fn post(key: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/").header("idempotency-key", format!("\"{key}\"")).body(body.into()).unwrap()
}

/// An answer that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Reply {
    pub(crate) async fn read<B>(response: Response<B>) -> Self
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned();
        Self { status: parts.status, headers: parts.headers, body: collected.to_bytes(), trailers }
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }

    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap())
    }

    /// The answer without its date and without the header that marks a replay.
    pub(crate) fn content(&self) -> Self {
        let mut reply = self.clone();
        reply.headers.remove("idempotency-replayed");
        reply.headers.remove("date");
        reply
    }
}

/// The `code` of a problem, after its form has been checked.
pub(crate) fn problem_code(reply: &Reply) -> String {
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{reply:?}");
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["status"], reply.status.as_u16(), "{problem}");
    for member in ["type", "title", "detail"] {
        assert!(!problem[member].as_str().unwrap().is_empty(), "{member} of {problem}");
    }
    problem["code"].as_str().unwrap().to_owned()
}

/// How often a handler ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    /// Counts a call, and returns its number.
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where a handler waits until the test lets it go on.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { entered: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    /// For the handler: reports its arrival, and waits.
    pub(crate) async fn pass(&self) {
        self.entered.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    /// For the test: waits until a handler has arrived.
    pub(crate) async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// For the test: lets one handler go on.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }
}

/// The time by the clock from which the layer takes its dates.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(SystemClock::shared().wall().as_micros())
}

/// Waits until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_mins(1), waiting).await.unwrap();
}
