//! Any tower stack: `http` types only, any body, any store behind a pointer.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::routing::post as route;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use idem_core::Store;
use idem_core::metrics::Observed;
use idem_http::RequestBody;
use idem_moka::{MokaConfig, MokaStore};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::support::{App, Calls, Reply, ask, bare_layer, frames, post, shared_scope};

#[tokio::test]
async fn a_hyper_server_without_any_framework() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = tower::service_fn(move |request: Request<RequestBody<Incoming>>| {
        let call = counted.add();
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Response::new(Full::from(format!("{call}: {} bytes", body.len()))))
        }
    });
    let layer = bare_layer();
    let service = TowerToHyperService::new(layer.layer(handler));
    let (client, server) = tokio::io::duplex(4096);
    let serving = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    tokio::spawn(async move { serving.serve_connection(TokioIo::new(server), service).await.unwrap() });
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    for replayed in [false, true] {
        let reply = Reply::read(sender.send_request(post("k", "four")).await.unwrap()).await;
        assert_eq!((reply.text(), reply.is_replayed()), ("1: 4 bytes", replayed));
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_bare_tower_service_between_other_layers() {
    let layer = bare_layer();
    let mut service = ServiceBuilder::new()
        .map_request(|request: Request<Full<Bytes>>| request)
        .layer(layer)
        .map_response(|response: Response<Full<Bytes>>| response)
        .service_fn(async |_request: Request<RequestBody<Full<Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Full::from("x")))
        });
    for replayed in [false, true] {
        let request = post("k", "").map(|_| Full::<Bytes>::default());
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.headers().contains_key("idempotency-replayed"), replayed);
    }
}

#[tokio::test]
async fn any_store_behind_a_pointer() {
    let moka = || MokaStore::new(MokaConfig::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let redb = idem_redb::RedbStore::open(&*directory.path().join("keys.idem")).await.unwrap();
    let boxed: Box<dyn Store> = Box::new(moka());
    let stores: [Arc<dyn Store>; 4] =
        [Arc::new(moka()), Arc::new(redb), Arc::new(Observed::new(moka())), Arc::new(boxed)];
    for store in stores {
        let app = App::over(store, || async { "x" }, |builder| builder);
        app.ask(post("k", "")).await;
        assert!(app.ask(post("k", "")).await.is_replayed());
    }
}

#[tokio::test]
async fn routes_of_one_router_with_layers_of_their_own() {
    let store: Arc<dyn Store> = Arc::new(MokaStore::new(MokaConfig::default()).unwrap());
    let layer = shared_scope(store).build().unwrap();
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = move || async move { counted.add().to_string() };
    let router =
        Router::new().route("/", route(handler.clone()).layer(layer)).route("/plain", route(handler));
    ask(&router, post("k", "")).await;
    assert!(ask(&router, post("k", "")).await.is_replayed());
    let plain = || {
        let mut request = post("k", "");
        *request.uri_mut() = "/plain".parse().unwrap();
        request
    };
    ask(&router, plain()).await;
    assert!(!ask(&router, plain()).await.is_replayed());
}

#[tokio::test]
async fn of_two_layers_around_one_another_the_outer_one_acts() {
    let calls = Calls::default();
    let counted = calls.clone();
    let app = App::new(move || async move { counted.add().to_string() });
    let router = app.router.layer(app.layer.clone());
    assert_eq!(ask(&router, post("k", "")).await.text(), "1");
    assert!(ask(&router, post("k", "")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn trailers_of_a_request_reach_its_handler() {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))]);
    let body = frames([Frame::data(Bytes::from_static(b"body")), Frame::trailers(trailers)]);
    let app = App::new(|request: Request<axum::body::Body>| async move {
        let body = request.into_body().collect().await.unwrap();
        let sum = body.trailers().unwrap()["x-sum"].to_str().unwrap().to_owned();
        format!("{} bytes, {sum}", body.to_bytes().len())
    });
    assert_eq!(app.ask(post("k", body)).await.text(), "4 bytes, 7");
}

/// A service that was asked whether it is ready is the one that is called.
#[tokio::test]
async fn readiness_is_that_of_the_inner_service() {
    #[derive(Default)]
    struct OnceReady(bool);

    impl Clone for OnceReady {
        fn clone(&self) -> Self {
            Self(false)
        }
    }

    impl Service<Request<RequestBody<Empty<Bytes>>>> for OnceReady {
        type Response = Response<Empty<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            self.0 = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<RequestBody<Empty<Bytes>>>) -> Self::Future {
            assert!(self.0, "called before it was ready");
            std::future::ready(Ok(Response::default()))
        }
    }

    let service = bare_layer().layer(OnceReady::default());
    let request = post("k", "").map(|_| Empty::new());
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
}
