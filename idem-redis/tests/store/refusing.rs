//! A server that refuses to write for want of memory or replicas, and outcomes beyond the limit.

use std::time::Duration;

use bytes::Bytes;
use idem_conformance::redis::Server;
use idem_core::{ErrorKind, Fenced, Fingerprint, LockOutcome, Outcome, Store};
use idem_redis::RedisStore;

use crate::support::{acquire, assert_replays, claim, complete, completed, config, key, kind, lock, lone};

#[tokio::test]
async fn a_server_out_of_memory_is_full_to_what_is_new_and_serves_what_is_kept() {
    let (server, store) = lone().await;
    completed(&store, "done").await;
    let lease = acquire(&store, "held").await;
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;

    assert_eq!(kind(lock(&store, "new").await), ErrorKind::Full);
    assert_eq!(kind(complete(&store, &lease).await), ErrorKind::Full);
    assert_replays(&store, "done").await;
    assert!(matches!(lock(&store, "held").await.unwrap(), LockOutcome::InProgress { .. }));
    let other = Fingerprint::builder("test").part("another request").finish();
    let mismatch = store.lock(&key("done"), &other, &claim()).await.unwrap();
    assert!(matches!(mismatch, LockOutcome::FingerprintMismatch), "{mismatch:?}");
    assert_eq!(store.renew(&lease, Duration::from_mins(1)).await.unwrap(), Fenced::Applied);
    assert!(!store.settled(lease.key(), Duration::from_millis(20)).await.unwrap());
    let given_back = acquire_before(&server, &store).await;
    assert_eq!(store.release(&given_back).await.unwrap(), Fenced::Applied);

    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(complete(&store, &lease).await.unwrap(), Fenced::Applied);
    assert_replays(&store, "held").await;
    acquire(&store, "new").await;
}

/// A lease from a moment in which there is room.
async fn acquire_before(server: &Server, store: &RedisStore) -> idem_core::Lease {
    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let lease = acquire(store, "given back").await;
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    lease
}

#[tokio::test]
async fn too_few_replicas_for_the_server_itself_are_unavailable_at_once() {
    let (server, store) = lone().await;
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let answer = tokio::time::timeout(Duration::from_secs(1), lock(&store, "order")).await.unwrap();
    assert_eq!(kind(answer), ErrorKind::Unavailable);
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    acquire(&store, "order").await;
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
    assert!(matches!(lock(&store, "order").await.unwrap(), LockOutcome::InProgress { .. }));
    assert_eq!(complete(&store, &lease).await.unwrap(), Fenced::Applied);
}
