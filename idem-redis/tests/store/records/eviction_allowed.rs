//! A store that allows eviction, on a server that does not evict: all other promises hold.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::{Pair, Server};
use tokio::time::sleep;

use crate::records::lost_data::is_corrupt;
use crate::support::{assert_replays, completed, config, lock, refusal, wait_for_check, wait_for_replicas};

fn allowing(server: &Server) -> RedisConfig {
    let mut config = config(server);
    config.allow_eviction = true;
    config
}

#[tokio::test]
async fn a_master_that_had_a_replica_and_has_none_is_refused_also_where_eviction_is_allowed() {
    let pair = Pair::start(1).await;
    completed(&RedisStore::open(allowing(pair.master())).await.unwrap(), "before").await;
    pair.replicas()[0].kill();
    wait_for_replicas(pair.master(), "0").await;
    let (kind, message) = refusal(allowing(pair.master())).await;
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
}

#[tokio::test]
async fn a_durable_server_that_lost_its_data_is_refused_also_where_eviction_is_allowed() {
    let server = Server::options().appendonly().start().await;
    let store = RedisStore::open(allowing(&server)).await.unwrap();
    completed(&store, "order").await;
    server.kill();
    std::fs::remove_dir_all(server.folder().join("appendonlydir")).unwrap();
    server.restart().await;
    is_corrupt(&store, "order").await;
}

/// What the server evicted meanwhile does not count as lost.
#[tokio::test]
async fn a_server_that_has_stopped_evicting_is_still_used() {
    let server = Server::options().appendonly().start().await;
    let store = RedisStore::open(allowing(&server)).await.unwrap();
    completed(&store, "order").await;
    server.run(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await;
    wait_for_check(&server).await;
    // As eviction may do: nothing is used less often than a marker.
    assert_eq!(server.run(&["DEL", "idem:marker:0"]).await.text(), "1");
    server.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    for turn in 0..20 {
        sleep(Duration::from_millis(50)).await;
        assert_replays(&store, "order").await;
        assert!(lock(&store, &format!("another {turn}")).await.is_ok());
    }
}
