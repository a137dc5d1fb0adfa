//! A client that goes away does not take its handler with it.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::support::{App, Calls, Client, Fault, FaultyStore, Gate, Server, post};
use idem_core::error::Operation;

/// Stands outside the layer, as a server does, and reports each request that is dropped before its answer.
#[derive(Clone)]
struct Drops(Arc<Semaphore>);

struct Watch(Option<Arc<Semaphore>>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(drops) = &self.0 {
            drops.add_permits(1);
        }
    }
}

impl Drops {
    fn around(router: Router) -> (Self, Router) {
        let drops = Self(Arc::new(Semaphore::new(0)));
        let seen = Arc::clone(&drops.0);
        let watch = move |request: Request, next: Next| {
            let seen = Arc::clone(&seen);
            async move {
                let mut watch = Watch(Some(seen));
                let response = next.run(request).await;
                watch.0 = None;
                response
            }
        };
        (drops, router.layer(from_fn(watch)))
    }

    async fn next(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_leave_and_every_handler_ends_and_every_retry_replays() {
    const CLIENTS: usize = 1_000;
    let (gate, begun, ended) = (Gate::new(), Calls::default(), Calls::default());
    let (held, begins, ends) = (gate.clone(), begun.clone(), ended.clone());
    let handler = move |body: String| async move {
        begins.add();
        held.pass().await;
        ends.add();
        format!("answer to {body}")
    };
    let app = App::new(handler);
    let (drops, router) = Drops::around(app.router.clone());
    let server = Server::start(router).await;
    for client in 0..CLIENTS {
        let mut raw = server.raw().await;
        let lines = format!("POST / HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k{client}\r\n");
        raw.send(format!("{lines}Content-Length: 4\r\n\r\n{client:04}")).await;
        gate.entered().await;
        drop(raw);
        drops.next().await;
        gate.open();
    }
    app.layer.running().ended().await;
    assert_eq!((begun.count(), ended.count()), (CLIENTS, CLIENTS));
    let mut retry = Client::http1(&server).await;
    for client in 0..CLIENTS {
        let reply = retry.ask(post(&format!("k{client}"), format!("{client:04}"))).await;
        assert!(reply.is_replayed());
        assert_eq!(reply.text(), format!("answer to {client:04}"));
    }
    assert_eq!(begun.count(), CLIENTS);
}

#[tokio::test]
async fn over_http_2_a_cancelled_request_goes_on_too() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let (held, counted) = (gate.clone(), calls.clone());
    let app = App::new(move || async move {
        held.pass().await;
        counted.add().to_string()
    });
    let (drops, router) = Drops::around(app.router.clone());
    let server = Server::start(router).await;
    let mut client = Client::http2(&server).await;
    tokio::select! {
        _ = client.ask(post("k", "")) => panic!("it was answered"),
        () = gate.entered() => {}
    }
    drops.next().await;
    gate.open();
    app.layer.running().ended().await;
    assert!(client.ask(post("k", "")).await.is_replayed());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_shutdown_can_wait_for_the_handlers_that_run_on() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let (held, counted) = (gate.clone(), calls.clone());
    let app = App::new(move || async move {
        held.pass().await;
        counted.add().to_string()
    });
    let running = app.layer.running();
    assert_eq!(running.count(), 0);
    running.ended().await;
    tokio::select! {
        _ = app.ask(post("k", "")) => panic!("it was answered"),
        () = gate.entered() => {}
    }
    assert_eq!(running.count(), 1);
    tokio::select! {
        biased;
        () = running.ended() => panic!("one is running"),
        () = tokio::task::yield_now() => gate.open(),
    }
    running.ended().await;
    assert_eq!((running.count(), calls.count()), (0, 1));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_lock_leaves_nothing_behind() {
    let (gate, calls) = (Gate::new(), Calls::default());
    let counted = calls.clone();
    let store = FaultyStore::new();
    store.fail(Operation::Lock, Fault::Held(gate.clone()));
    let handler = move || async move { counted.add().to_string() };
    let app = App::over(Arc::new(store.clone()), handler, |builder| builder);
    tokio::select! {
        _ = app.router.clone().oneshot(post("k", "")) => panic!("it was answered"),
        () = gate.entered() => {}
    }
    gate.open();
    app.layer.running().ended().await;
    assert_eq!(calls.count(), 0, "it had not begun, and does not begin any more");
    store.mend();
    let reply = app.ask(post("k", "")).await;
    assert_eq!((reply.text(), reply.is_replayed()), ("1", false), "the key is free");
}

#[tokio::test]
async fn a_client_that_leaves_during_its_body_has_asked_for_nothing() {
    let calls = Calls::default();
    let counted = calls.clone();
    let app = App::new(move || async move { counted.add().to_string() });
    let (body, sender) = crate::support::channel();
    sender.send("half");
    let mut asking = Box::pin(app.router.clone().oneshot(post("k", body)));
    tokio::select! {
        biased;
        _ = &mut asking => panic!("it was answered"),
        () = tokio::task::yield_now() => {}
    }
    drop(asking);
    assert_eq!((app.layer.running().count(), calls.count()), (0, 0));
    assert!(!app.ask(post("k", "another body")).await.is_replayed());
}
