//! A server that refuses writes since it lacks memory, replicas or a working disk, and outcomes beyond the limit.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, Fingerprint, Lease, LockAnswer, Outcome, Store};
use idem_redis::{Acks, Deployment, RedisStore};
use idem_servers::redis::{Cluster, Server};
use tokio::task::JoinSet;

use crate::support::{acquire, assert_replays, claim, complete, completed, config, key, kind, lock, lone};

#[tokio::test]
async fn a_server_out_of_memory_refuses_new_keys_and_serves_existing_ones() {
    let (server, store) = lone().await;
    completed(&store, "done").await;
    let lease = acquire(&store, "held").await;
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;

    assert_eq!(kind(lock(&store, "new").await), ErrorKind::Full);
    assert_replays(&store, "done").await;
    assert!(matches!(lock(&store, "held").await.unwrap(), LockAnswer::InProgress { .. }));
    let other = Fingerprint::builder("test").part("another request").finish();
    let mismatch = store.lock(&key("done"), &other, &claim()).await.unwrap();
    assert!(matches!(mismatch, LockAnswer::FingerprintMismatch), "{mismatch:?}");
    assert_eq!(store.renew(&lease, Duration::from_mins(1)).await.unwrap(), Effect::Applied);
    assert!(!store.settled(lease.key(), Duration::from_millis(20)).await.unwrap());
    let released = acquire_with_memory(&server, &store).await;
    assert_eq!(store.release(&released).await.unwrap(), Effect::Applied);

    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
    assert_replays(&store, "held").await;
    acquire(&store, "new").await;
}

/// Otherwise the work of the key would run again after the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_can_be_ended_when_the_server_is_out_of_memory() {
    let server = Server::lone().await;
    let cluster = Cluster::options().masters(1).replicas(0).start().await;
    let node = cluster.servers()[0].node();
    let mut of_cluster = config(node);
    (of_cluster.deployment, of_cluster.acks) = (Deployment::Cluster, Some(Acks::Count(0)));
    for (node, config) in [(server.node(), config(&server)), (node, of_cluster)] {
        let store = RedisStore::open(config).await.unwrap();
        let alone = acquire(&store, "alone").await;
        let stepped = acquire(&store, "stepped").await;
        let (half, lease) = (Bytes::from_static(b"half"), Duration::from_secs(30));
        assert_eq!(store.checkpoint(&stepped, 1, half, lease).await.unwrap(), Effect::Applied);
        let mut together = Vec::new();
        for number in 0..64 {
            together.push(acquire(&store, &format!("together {number}")).await);
        }
        node.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
        assert_eq!(complete(&store, &alone).await.unwrap(), Effect::Applied);
        assert_eq!(store.renew(&stepped, Duration::from_mins(1)).await.unwrap(), Effect::Applied);
        assert_eq!(store.release(&stepped).await.unwrap(), Effect::Applied);
        let mut callers = JoinSet::new();
        for (number, lease) in together.into_iter().enumerate() {
            let store = store.clone();
            callers.spawn(async move {
                // New keys are refused although completions beside them are allowed.
                let new = format!("new {number}");
                let (ended, new) = tokio::join!(complete(&store, &lease), lock(&store, &new));
                (ended.unwrap(), kind(new))
            });
        }
        for (ended, new) in callers.join_all().await {
            assert_eq!((ended, new), (Effect::Applied, ErrorKind::Full));
        }
        assert_replays(&store, "alone").await;
        assert_replays(&store, "together 63").await;
    }
}

/// A lease that is acquired while there is memory.
async fn acquire_with_memory(server: &Server, store: &RedisStore) -> Lease {
    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let lease = acquire(store, "released").await;
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    lease
}

#[tokio::test]
async fn an_unmet_min_replicas_to_write_is_unavailable_at_once() {
    let (server, store) = lone().await;
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let answer = tokio::time::timeout(Duration::from_secs(1), lock(&store, "order")).await.unwrap();
    assert_eq!(kind(answer), ErrorKind::Unavailable);
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    acquire(&store, "order").await;
}

/// Checks that new keys are refused at once, and keys on record are served.
async fn serves_existing_keys(store: &RedisStore, held: &Lease, refusal: &str) {
    let at_once = Duration::from_secs(1);
    let new = tokio::time::timeout(at_once, lock(store, "new")).await.unwrap().unwrap_err();
    assert!(new.kind() == ErrorKind::Unavailable && new.message().contains(refusal), "{new:?}");
    assert_replays(store, "done").await;
    assert!(matches!(lock(store, "held").await.unwrap(), LockAnswer::InProgress { .. }));
    let other = Fingerprint::builder("test").part("another request").finish();
    let mismatch = store.lock(&key("done"), &other, &claim()).await.unwrap();
    assert!(matches!(mismatch, LockAnswer::FingerprintMismatch), "{mismatch:?}");
    assert!(store.get(&key("done")).await.unwrap().is_some());
    assert!(!store.settled(held.key(), Duration::from_millis(20)).await.unwrap());
    assert!(store.settled(&key("done"), Duration::from_millis(20)).await.unwrap());
}

#[tokio::test]
async fn completed_keys_replay_when_min_replicas_to_write_is_not_met() {
    let (server, store) = lone().await;
    completed(&store, "done").await;
    let held = acquire(&store, "held").await;
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    serves_existing_keys(&store, &held, "NOREPLICAS").await;
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    assert_eq!(complete(&store, &held).await.unwrap(), Effect::Applied);
    assert_replays(&store, "held").await;
}

#[tokio::test]
async fn completed_keys_replay_while_the_disk_of_the_server_fails() {
    let server = Server::options().config("dbfilename no-file").start().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    completed(&store, "done").await;
    let held = acquire(&store, "held").await;
    // The server cannot write its snapshot, since there is a folder in its place.
    std::fs::create_dir_all(server.folder().join("no-file/in-it")).unwrap();
    server.run(&["CONFIG", "SET", "save", "3600 1"]).await;
    server.run(&["BGSAVE"]).await;
    while server.run(&["INFO", "persistence"]).await.field("rdb_last_bgsave_status").as_deref() != Some("err")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    serves_existing_keys(&store, &held, "MISCONF").await;
    server.run(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).await;
    assert_eq!(complete(&store, &held).await.unwrap(), Effect::Applied);
    assert_replays(&store, "held").await;
}

#[tokio::test]
async fn an_outcome_or_checkpoint_beyond_the_limit_is_too_large_and_the_lease_is_still_held() {
    let server = Server::lone().await;
    let mut config = config(&server);
    config.max_outcome = 100;
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    let (large, duration) = (Bytes::from(vec![7; 101]), Duration::from_secs(30));
    let refused = store.complete(&lease, Outcome::Value(large.clone()), lease.retention()).await;
    assert_eq!(kind(refused), ErrorKind::TooLarge);
    assert_eq!(kind(store.checkpoint(&lease, 1, large, duration).await), ErrorKind::TooLarge);
    assert!(matches!(lock(&store, "order").await.unwrap(), LockAnswer::InProgress { .. }));
    assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
}
