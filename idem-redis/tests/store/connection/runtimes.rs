//! A store that outlives the runtime that opened it.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use idem_core::Store;
use idem_redis::RedisStore;
use idem_servers::redis::Server;
use tokio::runtime::{Builder, Runtime};

use crate::support::{acquire, assert_replays, completed, config, key};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_store_outlives_the_runtime_that_made_its_connections() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    for round in 0..20 {
        let first = runtime();
        let store = first.block_on(RedisStore::open(config(&server))).unwrap();
        let name = format!("order {round}");
        first.block_on(completed(&store, &name));
        // The store is in use, or just reconnecting, when the runtime ends.
        let user = store.clone();
        first.spawn(async move {
            loop {
                let _ = crate::support::lock(&user, "another").await;
            }
        });
        servers.block_on(server.run(&["CLIENT", "KILL", "TYPE", "normal"]));
        std::thread::sleep(Duration::from_micros(round * 300));
        drop(first);
        let second = runtime();
        second.block_on(assert_replays(&store, &name));
        second.block_on(acquire(&store, &format!("{name} again")));
    }
}

/// The servers are still watched: one that begins to evict is noticed.
#[test]
fn any_runtime_that_uses_the_store_watches_the_servers() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    let first = runtime();
    let store = first.block_on(RedisStore::open(config(&server))).unwrap();
    drop(first);
    let second = runtime();
    second.block_on(completed(&store, "order"));
    servers.block_on(server.run(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]));
    let refused = async {
        while crate::support::lock(&store, "order").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    second.block_on(async { tokio::time::timeout(Duration::from_secs(30), refused).await }).unwrap();
}

/// No runtime lasts until the next check.
#[test]
fn runtimes_that_live_shorter_than_the_check_interval_watch_the_servers() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    let mut config = config(&server);
    config.check_interval = Duration::from_secs(1);
    let first = runtime();
    let store = first.block_on(RedisStore::open(config)).unwrap();
    drop(first);
    servers.block_on(server.run(&["CONFIG", "SET", "appendonly", "yes"]));
    for _ in 0..200 {
        runtime().block_on(async {
            let _ = store.get(&key("order")).await;
            tokio::time::sleep(Duration::from_millis(150)).await;
        });
        if store.capabilities().durable {
            return;
        }
    }
    panic!("30 checks were due, and none was made");
}

/// The runtime ends before it has polled the task that connects.
#[test]
fn a_connection_attempt_of_an_ended_runtime_is_repeated_by_the_next() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    let single = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = single();
    let store = first.block_on(RedisStore::open(config(&server))).unwrap();
    drop(first);
    let second = single();
    second.block_on(async {
        let key = key("order");
        let mut call = std::pin::pin!(store.get(&key));
        let is_pending = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
    });
    drop(second);
    let record = single().block_on(store.get(&key("order")));
    assert!(record.is_ok(), "{record:?}");
}

/// The connections belong to a runtime that goes on, and the watcher belonged to the one that ended.
#[test]
fn the_servers_are_watched_after_the_opening_runtime_has_ended() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    let (first, second) = (runtime(), runtime());
    let mut config = config(&server);
    config.check_interval = Duration::from_secs(2);
    let store = first.block_on(RedisStore::open(config)).unwrap();
    servers.block_on(server.run(&["CLIENT", "KILL", "TYPE", "normal"]));
    second.block_on(crate::support::recovers(|| crate::support::lock(&store, "order")));
    drop(first);
    servers.block_on(server.run(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]));
    let refused = async {
        while crate::support::lock(&store, "order").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let noticed = second.block_on(async { tokio::time::timeout(Duration::from_secs(30), refused).await });
    assert!(noticed.is_ok(), "a server that evicts is used for 15 checks");
}
