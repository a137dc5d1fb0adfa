//! What a request keeps when its client is gone, and which requests end instead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use idem_core::error::Operation;
use idem_http::WhenInFlight;
use tokio::task_local;
use tower::ServiceExt;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::support::{App, Calls, Fault, FaultyStore, Gate, ask, post};

task_local! {
    static TENANT: u64;
}

async fn with_tenant(request: Request, next: Next) -> axum::response::Response {
    TENANT.scope(7, next.run(request)).await
}

/// Sends a request, and leaves once the handler has begun.
async fn ask_and_leave(router: axum::Router, gate: &Gate) {
    tokio::select! {
        _ = router.oneshot(post("k", "")) => panic!("it was answered"),
        () = gate.entered() => {}
    }
}

#[tokio::test]
async fn task_locals_come_along_where_the_application_says_so() {
    let gate = Gate::new();
    let held = gate.clone();
    let handler = move || async move {
        held.pass().await;
        TENANT.with(|tenant| format!("for {tenant}"))
    };
    let app = App::with(handler, |builder| {
        builder.when_detached(|rest| match TENANT.try_get() {
            Ok(tenant) => Box::pin(TENANT.scope(tenant, rest)),
            Err(_) => rest,
        })
    });
    let router = app.router.clone().layer(from_fn(with_tenant));
    ask_and_leave(router.clone(), &gate).await;
    gate.open();
    app.layer.running().ended().await;
    let retry = ask(&router, post("k", "")).await;
    assert_eq!((retry.text(), retry.is_replayed()), ("for 7", true));
}

/// The names of the spans around each event.
#[derive(Clone, Default)]
struct Around(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Around {
    fn on_event(&self, event: &tracing::Event<'_>, context: tracing_subscriber::layer::Context<'_, S>) {
        let names = context.event_scope(event).into_iter().flatten().map(|span| span.name()).collect();
        self.0.lock().unwrap().push(names);
    }
}

#[tokio::test]
async fn the_span_around_the_request_comes_along() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = App::new(move || async move {
        held.pass().await;
        tracing::info!("after the client left");
    });
    let around = Around::default();
    // The layer's own span is filtered out by its level, so only the span around it is left.
    let only_info = tracing_subscriber::filter::LevelFilter::INFO;
    let subscriber = tracing_subscriber::registry().with(only_info).with(around.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let router = app.router.clone();
    let asked = gate.clone();
    async move { ask_and_leave(router, &asked).await }.instrument(tracing::info_span!("request")).await;
    gate.open();
    app.layer.running().ended().await;
    assert_eq!(*around.0.lock().unwrap(), [["request"]]);
}

#[tokio::test]
async fn retries_that_wait_end_with_their_clients() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let (held, counted) = (gate.clone(), calls.clone());
    let handler = move || async move {
        held.pass().await;
        counted.add().to_string()
    };
    let app =
        App::with(handler, |builder| builder.when_in_flight(WhenInFlight::Wait(Duration::from_hours(1))));
    let first = tokio::spawn(app.router.clone().oneshot(post("k", "")));
    gate.entered().await;
    let retries: Vec<_> = (0..100).map(|_| tokio::spawn(app.router.clone().oneshot(post("k", "")))).collect();
    while app.layer.waiting() < 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.layer.running().count(), 1, "they hold nothing");
    for retry in retries {
        retry.abort();
        let _cancelled = retry.await;
    }
    assert_eq!((app.layer.waiting(), app.layer.running().count()), (0, 1));
    gate.open();
    first.await.unwrap().unwrap();
    assert_eq!(calls.count(), 1);
}

/// The client leaves while the store is asked for the lock.
#[tokio::test]
async fn a_retry_whose_client_left_before_it_could_wait_takes_no_place() {
    let (gate, lock) = (Gate::new(), Gate::new());
    let (held, store) = (gate.clone(), FaultyStore::new());
    let app = App::over(
        Arc::new(store.clone()),
        move || async move { held.pass().await },
        |builder| builder.when_in_flight(WhenInFlight::Wait(Duration::from_hours(1))),
    );
    let first = tokio::spawn(app.router.clone().oneshot(post("k", "")));
    gate.entered().await;
    store.fail(Operation::Lock, Fault::Held(lock.clone()));
    ask_and_leave(app.router.clone(), &lock).await;
    lock.open();
    while app.layer.running().count() > 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert_eq!(app.layer.waiting(), 0);
        tokio::task::yield_now().await;
    }
    gate.open();
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_retry_beyond_those_that_may_wait_is_refused_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = App::with(
        move || async move { held.pass().await },
        |builder| builder.when_in_flight(WhenInFlight::Wait(Duration::from_hours(1))).max_waiters(1),
    );
    let first = tokio::spawn(app.router.clone().oneshot(post("k", "")));
    gate.entered().await;
    let waiter = tokio::spawn(app.router.clone().oneshot(post("k", "")));
    while app.layer.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.ask(post("k", "")).await.status, 409);
    gate.open();
    first.await.unwrap().unwrap();
    assert!(waiter.await.unwrap().unwrap().headers().contains_key("idempotency-replayed"));
}
