//! Limits and load shedding inside the layer: a replay does not wait for them, and what was shed was not executed.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use idem_core::clock::{ManualClock, Timestamp};
use idem_http::{RequestBody, RequestUri};
use idem_moka::{MokaConfig, MokaStore};
use tower::load_shed::error::Overloaded;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Calls, Gate, bare_layer, post, shared_scope};

type Body = RequestBody<Full<Bytes>>;

/// A service that waits at the gate and answers with the number of its call.
fn counted(
    gate: &Gate,
    calls: &Calls,
) -> impl Service<Request<Body>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let (gate, calls) = (gate.clone(), calls.clone());
    service_fn(move |_: Request<Body>| {
        let (gate, calls) = (gate.clone(), calls.clone());
        async move {
            let call = calls.add();
            gate.pass().await;
            Ok(Response::new(Full::from(call.to_string())))
        }
    })
}

fn request(key: &str) -> Request<Full<Bytes>> {
    post(key, "").map(|_| Full::default())
}

#[tokio::test]
async fn a_replay_does_not_wait_for_a_limit_inside() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let inside = ServiceBuilder::new().concurrency_limit(1).service(counted(&gate, &calls));
    let service = bare_layer().layer(inside);
    gate.open();
    service.clone().oneshot(request("a")).await.unwrap();
    gate.entered().await;
    let slow = tokio::spawn(service.clone().oneshot(request("b")));
    gate.entered().await;
    let replay = service.clone().oneshot(request("a")).await.unwrap();
    assert!(replay.headers().contains_key("idempotency-replayed"));
    // A request without a key waits, as it would without the layer.
    let mut plain = Box::pin(service.clone().oneshot(Request::post("/").body(Full::default()).unwrap()));
    tokio::select! {
        biased;
        _ = &mut plain => panic!("two at once"),
        () = tokio::task::yield_now() => {}
    }
    gate.open();
    gate.open();
    slow.await.unwrap().unwrap();
    plain.await.unwrap();
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn what_was_shed_was_not_executed() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let inside = ServiceBuilder::new().load_shed().concurrency_limit(1).service(counted(&gate, &calls));
    let service = bare_layer().layer(inside);
    let slow = tokio::spawn(service.clone().oneshot(request("a")));
    gate.entered().await;
    let shed = service.clone().oneshot(request("b")).await.unwrap_err();
    assert!(shed.is::<Overloaded>(), "{shed}");
    gate.open();
    slow.await.unwrap().unwrap();
    gate.open();
    let answer = service.oneshot(request("b")).await.unwrap();
    assert_eq!((answer.status(), calls.count()), (StatusCode::OK, 2));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "2");
}

/// The error may come from something that the handler called.
#[tokio::test]
async fn what_was_shed_further_inside_may_have_been_executed() {
    let calls = Calls::default();
    let counted = calls.clone();
    let service = bare_layer().layer(service_fn(move |_: Request<Body>| {
        let counted = counted.clone();
        async move {
            counted.add();
            tokio::task::yield_now().await;
            Err::<Response<Full<Bytes>>, tower::BoxError>(Overloaded::new().into())
        }
    }));
    assert!(service.clone().oneshot(request("k")).await.is_err());
    assert_eq!(service.oneshot(request("k")).await.unwrap().status(), StatusCode::CONFLICT);
    assert_eq!(calls.count(), 1);
}

/// Another attempt may have taken over while the request waited for its turn.
#[tokio::test]
async fn a_request_whose_lease_ended_in_the_queue_does_not_begin() {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    let store = MokaStore::with_clock(MokaConfig::default(), Arc::new(clock.clone())).unwrap();
    let layer = shared_scope(Arc::new(store)).request_uri(RequestUri::Unchanged).build().unwrap();
    let (gate, calls) = (Gate::new(), Calls::default());
    let inside = ServiceBuilder::new().concurrency_limit(1).service(counted(&gate, &calls));
    let service = layer.layer(inside);
    let slow = tokio::spawn(service.clone().oneshot(request("a")));
    gate.entered().await;
    let queued = tokio::spawn(service.clone().oneshot(request("b")));
    while layer.running().count() < 2 {
        tokio::task::yield_now().await;
    }
    clock.advance(std::time::Duration::from_secs(31));
    gate.open();
    slow.await.unwrap().unwrap();
    let answer = queued.await.unwrap().unwrap();
    assert_eq!((answer.status(), calls.count()), (StatusCode::SERVICE_UNAVAILABLE, 1));
}

/// The layer asks for readiness once the key is locked: an error then comes before anything ran.
#[tokio::test]
async fn a_service_that_cannot_be_called_gives_the_key_back() {
    #[derive(Clone)]
    struct NotNow(Calls);

    impl Service<Request<Body>> for NotNow {
        type Response = Response<Full<Bytes>>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Self::Response, &'static str>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), &'static str>> {
            let first = self.0.add() == 1;
            std::task::Poll::Ready(if first { Err("not now") } else { Ok(()) })
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::ready(Ok(Response::new(Full::from("done"))))
        }
    }

    let service = bare_layer().layer(NotNow(Calls::default()));
    assert_eq!(service.clone().oneshot(request("k")).await.unwrap_err(), "not now");
    let answer = service.clone().oneshot(request("k")).await.unwrap();
    assert!(!answer.headers().contains_key("idempotency-replayed"));
}
