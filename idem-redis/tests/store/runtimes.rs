//! A store that outlives the runtime by which it was made.

use std::time::Duration;

use idem_conformance::redis::Server;
use idem_redis::RedisStore;
use tokio::runtime::{Builder, Runtime};

use crate::support::{acquire, assert_replays, completed, config};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_store_goes_on_when_the_runtime_has_ended_that_made_its_connections() {
    let servers = runtime();
    let server = servers.block_on(Server::lone());
    for round in 0..20 {
        let first = runtime();
        let store = first.block_on(RedisStore::open(config(&server))).unwrap();
        let name = format!("order {round}");
        first.block_on(completed(&store, &name));
        // In use, or just about to connect again.
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

/// Its servers are still watched: one that evicts from now on is noticed.
#[test]
fn the_servers_are_watched_by_whoever_uses_the_store() {
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
