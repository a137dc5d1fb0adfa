//! A store that outlives the runtime that opened it.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use idem_conformance::redis::Server;
use idem_core::{ErrorKind, Store};
use idem_redis::RedisStore;
use tokio::runtime::{Builder, Runtime};

use crate::support::{acquire, config, key, lock};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection is begun, and the runtime ends before it has run what was begun.
#[test]
fn a_connection_begun_by_a_runtime_that_ends_at_once_is_begun_again_by_the_next() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    let first = runtime();
    let store = first.block_on(RedisStore::open(config(&server))).unwrap();
    drop(first);
    let second = runtime();
    second.block_on(async {
        let key = key("order");
        let mut call = std::pin::pin!(store.get(&key));
        let is_pending = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
    });
    drop(second);
    // Twice, since what failed once may be left alone for a moment.
    let answers = runtime().block_on(async {
        let mut answers = Vec::new();
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            answers.push(store.get(&key("order")).await);
        }
        answers
    });
    assert!(answers[1].is_ok(), "{answers:?}");
}

/// The servers are looked at by a task of the runtime that opened the store.
#[test]
fn a_server_that_begins_to_evict_is_refused_also_by_the_next_runtime() {
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::lone());
    let first = runtime();
    let store = first.block_on(RedisStore::open(config(&server))).unwrap();
    drop(first);
    runtime().block_on(async {
        acquire(&store, "order").await;
        server.run(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await;
        let mut last = None;
        // Fifty times as long as one look is due.
        for number in 0..50 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match lock(&store, &format!("order {number}")).await {
                Err(error) if error.kind() == ErrorKind::InvalidConfig => return,
                answer => last = Some(answer),
            }
        }
        panic!("it is used as before: {last:?}");
    });
}
