//! A store that is used by several runtimes, of which one is at rest: alive, and run by nobody.

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

/// As threads do that have a runtime of their own each, and block on it now and then.
#[test]
fn a_call_ends_in_time_though_the_runtime_that_connected_is_at_rest() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let at_rest = runtime();
    let store = at_rest.block_on(RedisStore::open(config(&server))).unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let answer = runtime().block_on(store.get(&key("order")));
        let _ = ended.send(answer.map(|record| record.is_some()));
    });
    // Ten times what any call may take.
    let answer = end.recv_timeout(Duration::from_secs(20));
    assert!(answer.is_ok(), "it has not ended");
    drop(at_rest);
}

/// It was just connecting when its thread left it.
#[test]
fn a_store_goes_on_in_another_runtime_while_the_one_rests_that_was_connecting() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let at_rest = runtime();
    let store = at_rest.block_on(RedisStore::open(config(&server))).unwrap();
    servers.block_on(server.run(&["CLIENT", "KILL", "TYPE", "normal"]));
    server.stop();
    let left =
        at_rest.block_on(async { tokio::time::timeout(Duration::from_millis(100), lock(&store, "a")).await });
    assert!(left.is_err(), "{left:?}");
    server.cont();
    goes_on(&servers, &store);
    drop(at_rest);
}

/// It had connected, and nobody drives what it made.
#[test]
fn a_store_goes_on_in_another_runtime_while_the_one_rests_that_had_connected() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let at_rest = runtime();
    let store = at_rest.block_on(RedisStore::open(config(&server))).unwrap();
    goes_on(&servers, &store);
    drop(at_rest);
}

/// The same of the connection that waits for replicas.
#[test]
fn writes_go_on_in_another_runtime_while_the_one_rests_that_waited_for_replicas() {
    let servers = Runtime::new().unwrap();
    let pair = servers.block_on(Pair::start(1));
    let at_rest = runtime();
    let mut config = config(pair.master());
    config.call_timeout = config.response_timeout * 3 / 2;
    let store = at_rest.block_on(async {
        let store = RedisStore::open(config).await.unwrap();
        let _ = lock(&store, "a").await.unwrap();
        store
    });
    // A connection of the runtime that goes on, behind which that for replicas is left to rest.
    goes_on(&servers, &store);
    drop(at_rest);
}

/// No call lasts until that can be told by itself.
#[test]
fn a_store_goes_on_in_another_runtime_though_calls_have_less_time_than_a_connection() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let at_rest = runtime();
    let mut config = config(&server);
    config.call_timeout = config.response_timeout * 3 / 2;
    let store = at_rest.block_on(RedisStore::open(config)).unwrap();
    goes_on(&servers, &store);
    drop(at_rest);
}

/// The one that rests was to look at it now and then.
#[test]
fn servers_are_watched_by_another_runtime_while_the_one_rests_that_opened_the_store() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let at_rest = runtime();
    let store = at_rest.block_on(RedisStore::open(config(&server))).unwrap();
    goes_on(&servers, &store);
    servers.block_on(async {
        server.run(&["CONFIG", "SET", "appendonly", "yes"]).await;
        let told = async {
            while !store.capabilities().durable {
                let _ = store.get(&key("order")).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_mins(1), told).await.is_ok(),
            "nobody looks at the server"
        );
    });
    drop(at_rest);
}

/// Soon, though not at once.
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
    assert!(answered.is_ok(), "the server is well for ten seconds, and yet: {answered:?}");
}
