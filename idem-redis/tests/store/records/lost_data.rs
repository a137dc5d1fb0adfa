//! Servers that come back without their data, and what a store promises of servers that may.

use std::time::Duration;

use idem_core::{ErrorKind, LockAnswer, Store};
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Node, Pair, Server, slot};
use tokio::time::{sleep, timeout};

use crate::support::{
    acquire, assert_replays, cluster_config, completed, config, key, kind, lock, recovers, wait_for_check,
};

const LONG: Duration = Duration::from_secs(30);

/// A configuration with which the server is checked only on connecting.
fn unchecked(server: &Node) -> RedisConfig {
    let mut config = config(server);
    config.check_interval = Duration::from_hours(1);
    config
}

/// Waits until the loss is reported. No call may succeed before.
pub(crate) async fn is_corrupt(store: &RedisStore, name: &str) {
    let wait = async {
        loop {
            match lock(store, name).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => break,
                Err(_) => sleep(Duration::from_millis(20)).await,
                Ok(answer) => panic!("{name} was done: {answer:?}"),
            }
        }
    };
    timeout(LONG, wait).await.unwrap();
}

#[tokio::test]
async fn a_durable_server_is_used_again_after_a_restart() {
    let server = Server::options().appendonly().start().await;
    let store = RedisStore::open(unchecked(&server)).await.unwrap();
    assert!(store.capabilities().durable);
    completed(&store, "order").await;
    server.restart().await;
    recovers(|| lock(&store, "order")).await;
    assert_replays(&store, "order").await;
}

#[tokio::test]
async fn a_durable_server_that_lost_its_data_is_refused() {
    let server = Server::options().appendonly().start().await;
    let store = RedisStore::open(unchecked(&server)).await.unwrap();
    completed(&store, "order").await;
    server.kill();
    std::fs::remove_dir_all(server.folder().join("appendonlydir")).unwrap();
    server.restart().await;
    is_corrupt(&store, "order").await;
    assert_eq!(kind(store.get(&key("order")).await), ErrorKind::Corrupt);
    // A store that opens now takes the data as they are. The first store still does not.
    acquire(&RedisStore::open(unchecked(&server)).await.unwrap(), "another").await;
    server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    is_corrupt(&store, "order").await;
}

#[tokio::test]
async fn the_next_check_notices_flushed_data() {
    let server = Server::options().appendonly().start().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    completed(&store, "order").await;
    server.run(&["FLUSHALL"]).await;
    let wait = async {
        while store.get(&key("order")).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        is_corrupt(&store, "order").await;
    };
    timeout(LONG, wait).await.unwrap();
}

/// The replica copies the empty data before anybody could promote it.
#[tokio::test]
async fn a_master_that_comes_back_empty_is_refused_where_replicas_acknowledge() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(unchecked(pair.master())).await.unwrap();
    assert!(store.capabilities().replicated && !store.capabilities().durable);
    completed(&store, "order").await;
    pair.master().restart().await;
    is_corrupt(&store, "order").await;
}

/// Saves a snapshot, once the save that the replicas needed at the start has ended.
async fn save(node: &Node) {
    let mut connection = node.connect().await.unwrap();
    while connection.command(&["SAVE"]).await.unwrap().text() != "OK" {
        sleep(Duration::from_millis(20)).await;
    }
}

/// The replica has copied the older data as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_promoted_with_the_older_snapshot_of_its_master_is_refused() {
    let cluster = Cluster::start().await;
    let master = cluster.nodes()[0].clone();
    let replica = cluster.replica_of(&master).await;
    let store = RedisStore::open(cluster_config(&cluster)).await.unwrap();
    // The first of three masters has the first third of the slots.
    let is_there = |name: &String| slot(store.redis_key(&key(name)).as_bytes()) < 5_000;
    let name = (0..1_000).map(|number| format!("order {number}")).find(is_there).unwrap();
    save(&master).await;
    completed(&store, &name).await;
    wait_for_check(&master).await;
    cluster.server(&master).restart().await;
    is_corrupt(&store, &name).await;
    cluster.wait_ok().await;
    cluster.takeover(&replica).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(2);
    while tokio::time::Instant::now() < until {
        let answer = lock(&store, &name).await;
        assert!(answer.is_err(), "{name} was completed: {answer:?}");
        sleep(Duration::from_millis(20)).await;
    }
    is_corrupt(&store, &name).await;
}

/// The default persistence: the marker is in the snapshot, and what was acknowledged later is not.
#[tokio::test]
async fn a_master_that_comes_back_with_an_older_snapshot_is_refused_where_replicas_acknowledge() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    completed(&store, "before").await;
    save(pair.master()).await;
    completed(&store, "order").await;
    wait_for_check(pair.master()).await;
    pair.master().restart().await;
    assert_ne!(pair.master().run(&["DBSIZE"]).await.text(), "0", "it has its snapshot");
    is_corrupt(&store, "order").await;
}

#[tokio::test]
async fn a_master_that_comes_back_with_its_latest_snapshot_is_used() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    completed(&store, "order").await;
    // As on a shutdown: no ping to the replicas moves the replication offset after the snapshot.
    pair.master().run(&["CONFIG", "SET", "repl-ping-replica-period", "3600"]).await;
    save(pair.master()).await;
    pair.master().restart().await;
    pair.wait_ok().await;
    recovers(|| lock(&store, "order")).await;
    assert_replays(&store, "order").await;
}

/// A store is connected to replicas too, since it asked them for the layout of the cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_promoted_without_the_data_is_refused_on_an_existing_connection() {
    let cluster = Cluster::start().await;
    let promoted = cluster.replica_of(&cluster.nodes()[0]).await;
    let mut config = cluster_config(&cluster);
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    let mut names = (0..).map(|number| format!("order {number}"));
    let mut master = cluster.nodes()[1].clone();
    let mut name = String::new();
    while master != cluster.nodes()[0] {
        name = names.next().unwrap();
        master = cluster.master_of(slot(store.redis_key(&key(&name)).as_bytes())).await;
    }
    completed(&store, &name).await;
    promoted.run(&["CONFIG", "SET", "replica-read-only", "no"]).await;
    promoted.run(&["FLUSHALL"]).await;
    cluster.takeover(&promoted).await;
    let wait = async {
        loop {
            match store.get(&key(&name)).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => break,
                Ok(None) => panic!("it is believed that nobody completed {name}"),
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(LONG, wait).await.unwrap();
    is_corrupt(&store, &name).await;
}

#[tokio::test]
async fn a_server_without_persistence_is_used_again_without_its_data() {
    let server = Server::lone().await;
    let store = RedisStore::open(unchecked(&server)).await.unwrap();
    let capabilities = store.capabilities();
    assert!(!capabilities.durable && !capabilities.replicated, "{capabilities:?}");
    completed(&store, "order").await;
    server.restart().await;
    recovers(|| lock(&store, "order")).await;
    assert!(!matches!(lock(&store, "order").await.unwrap(), LockAnswer::Completed(_)));
}

#[tokio::test]
async fn the_persistence_of_a_server_is_checked_again() {
    let server = Server::lone().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    for (setting, durable) in [
        (["CONFIG", "SET", "appendonly", "yes"], true),
        (["CONFIG", "SET", "appendfsync", "no"], false),
        (["CONFIG", "SET", "appendfsync", "always"], true),
        (["CONFIG", "SET", "appendonly", "no"], false),
    ] {
        server.run(&setting).await;
        let wait = async {
            while store.capabilities().durable != durable {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{setting:?}"));
    }
}

/// A managed server may forbid `CONFIG`.
#[tokio::test]
async fn durability_follows_info_where_config_is_forbidden() {
    let user = "user idem on >pw ~* &* +@all -config";
    let server = Server::options().appendonly().config(user).start().await;
    let mut config = config(&server);
    (config.username, config.password) = (Some("idem".to_owned()), Some("pw".to_owned()));
    assert!(RedisStore::open(config).await.unwrap().capabilities().durable);
}
