//! A store that is used by several runtimes, one of which is not driven: it exists, but no thread runs it.

use std::sync::mpsc;
use std::time::Duration;

use idem_core::Store;
use idem_redis::RedisStore;
use idem_servers::redis::{Pair, Server};
use tokio::runtime::{Builder, Runtime};

use crate::support::{config, key, lock};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// So do threads that each have a runtime of their own, and block on it now and then.
#[test]
fn a_call_ends_in_time_although_the_connecting_runtime_is_not_driven() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let undriven = runtime();
    let store = undriven.block_on(RedisStore::open(config(&server))).unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let answer = runtime().block_on(store.get(&key("order")));
        let _ = ended.send(answer.map(|record| record.is_some()));
    });
    // Ten times `call_timeout`.
    let answer = end.recv_timeout(Duration::from_secs(20));
    assert!(answer.is_ok(), "the call has not ended");
    drop(undriven);
}

/// The runtime was connecting when its thread stopped driving it.
#[test]
fn another_runtime_takes_over_from_an_undriven_one_that_was_connecting() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let undriven = runtime();
    let store = undriven.block_on(RedisStore::open(config(&server))).unwrap();
    servers.block_on(server.run(&["CLIENT", "KILL", "TYPE", "normal"]));
    server.stop();
    let left = undriven
        .block_on(async { tokio::time::timeout(Duration::from_millis(100), lock(&store, "a")).await });
    assert!(left.is_err(), "{left:?}");
    server.cont();
    goes_on(&servers, &store);
    drop(undriven);
}

/// The runtime had connected, and no thread drives its connection any more.
#[test]
fn another_runtime_takes_over_from_an_undriven_one_that_had_connected() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let undriven = runtime();
    let store = undriven.block_on(RedisStore::open(config(&server))).unwrap();
    goes_on(&servers, &store);
    drop(undriven);
}

/// The same for the connection that waits for replicas.
#[test]
fn another_runtime_takes_over_waiting_for_replicas_from_an_undriven_one() {
    let servers = Runtime::new().unwrap();
    let pair = servers.block_on(Pair::start(1));
    let undriven = runtime();
    let mut config = config(pair.master());
    config.call_timeout = config.response_timeout * 3 / 2;
    let store = undriven.block_on(async {
        let store = RedisStore::open(config).await.unwrap();
        let _ = lock(&store, "a").await.unwrap();
        store
    });
    // The new runtime makes a connection for calls; the one that waits for replicas still belongs to the undriven runtime.
    goes_on(&servers, &store);
    drop(undriven);
}

/// No single call lasts until the silence of the connection is long enough to show that its runtime is not driven.
#[test]
fn another_runtime_takes_over_although_a_call_ends_before_a_silent_connection() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let undriven = runtime();
    let mut config = config(&server);
    config.call_timeout = config.response_timeout * 3 / 2;
    let store = undriven.block_on(RedisStore::open(config)).unwrap();
    goes_on(&servers, &store);
    drop(undriven);
}

/// The undriven runtime was the one that watched the server.
#[test]
fn another_runtime_watches_the_servers_when_the_opening_one_is_not_driven() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let undriven = runtime();
    let store = undriven.block_on(RedisStore::open(config(&server))).unwrap();
    goes_on(&servers, &store);
    servers.block_on(async {
        server.run(&["CONFIG", "SET", "appendonly", "yes"]).await;
        let durable = async {
            while !store.capabilities().durable {
                let _ = store.get(&key("order")).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_mins(1), durable).await.is_ok(),
            "no runtime watches the server"
        );
    });
    drop(undriven);
}

/// Checks that one of five calls in `runtime` succeeds.
fn goes_on(runtime: &Runtime, store: &RedisStore) {
    let answered = runtime.block_on(async {
        let mut last = lock(store, "b").await;
        for _ in 0..4 {
            if last.is_err() {
                last = lock(store, "b").await;
            }
        }
        last
    });
    assert!(answered.is_ok(), "the server is healthy, and yet: {answered:?}");
}
