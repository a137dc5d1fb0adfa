//! Writes that are answered once they are on disks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{ErrorKind, LockAnswer, Registry, Store};
use idem_redis::{Acks, RedisConfig, RedisStore};
use idem_servers::redis::{Node, Pair, Server, ServerKind, ServerOptions};
use tokio::time::timeout;

use crate::support::{claim, completed, config, fingerprint, key, lock, refusal};

/// The kinds of servers that have `WAITAOF`.
const KINDS: [ServerKind; 2] = [ServerKind::Redis8, ServerKind::Valkey9];

fn always(kind: ServerKind) -> ServerOptions {
    Server::options().kind(kind).appendonly().config("appendfsync always")
}

fn on_disk(server: &Node) -> RedisConfig {
    let mut config = config(server);
    config.acks = Some(Acks::Disk);
    config
}

async fn times_out(store: &RedisStore, name: &str, message: &str) {
    let error = lock(store, name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

/// Waits for an acknowledged write. After a full resynchronisation a replica rewrites its append-only file before it
/// acknowledges anything on disk.
async fn is_acknowledged(store: &RedisStore) {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let acknowledged = async {
        while lock(store, &format!("turn {}", TURN.fetch_add(1, Ordering::Relaxed))).await.is_err() {}
    };
    timeout(Duration::from_secs(30), acknowledged).await.unwrap();
}

#[tokio::test]
async fn a_write_not_on_the_masters_disk_is_not_acknowledged() {
    for kind in KINDS {
        let server = always(kind).start().await;
        let store = RedisStore::open(on_disk(&server)).await.unwrap();
        assert!(store.capabilities().durable);
        completed(&store, "order").await;
        // From now on nothing is synced to the disk.
        server.run(&["CONFIG", "SET", "appendfsync", "no"]).await;
        times_out(&store, "unsynced", "not that of the master").await;
        server.run(&["CONFIG", "SET", "appendfsync", "always"]).await;
        completed(&store, "another").await;
    }
}

#[tokio::test]
async fn a_write_not_on_a_replicas_disk_is_not_acknowledged() {
    for kind in KINDS {
        let pair = Pair::start_with(1, &always(kind)).await;
        let replica = &pair.replicas()[0];
        let mut patient = on_disk(pair.master());
        (patient.ack_timeout, patient.response_timeout) = (Duration::from_secs(1), Duration::from_secs(2));
        patient.call_timeout = Duration::from_secs(10);
        let store = RedisStore::open(patient).await.unwrap();
        is_acknowledged(&store).await;
        replica.run(&["CONFIG", "SET", "appendfsync", "no"]).await;
        times_out(&store, "unsynced", "0 of 1 replicas hold the write in time on their disks").await;
        replica.run(&["CONFIG", "SET", "appendfsync", "always"]).await;
        is_acknowledged(&store).await;
    }
}

#[tokio::test]
async fn servers_that_cannot_sync_to_disk_in_time_are_refused() {
    let options = Server::options;
    let [redis, valkey] = KINDS;
    for (options, message) in [
        (options().kind(ServerKind::Redis7).appendonly(), "Redis 7.2 or later"),
        (options().kind(redis), "appendonly yes"),
        (options().kind(valkey), "appendonly yes"),
        (options().kind(redis).appendonly().config("appendfsync no"), "another appendfsync"),
        (options().kind(valkey).appendonly().config("appendfsync everysec"), "ack_timeout"),
    ] {
        let server = options.start().await;
        let (kind, text) = refusal(on_disk(&server)).await;
        assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
        assert!(text.contains(message), "{message}: {text}");
    }
}

#[tokio::test]
async fn with_everysec_a_write_waits_for_the_sync() {
    let server = Server::options().kind(ServerKind::Valkey9).appendonly().start().await;
    let waits = "acks=disk&ack_timeout=10s&response_timeout=20s&call_timeout=30s";
    let registry = Registry::new().with(idem_redis::DRIVER);
    let store = registry.open(format!("{}?{waits}", server.uri())).await.unwrap();
    let locked = store.lock(&key("order"), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(locked, LockAnswer::Acquired(_)), "{locked:?}");
    let calls = server.run(&["INFO", "commandstats"]).await.field("cmdstat_waitaof").unwrap();
    assert!(calls.starts_with("calls=2"), "one for the check at opening, one for the lock: {calls}");
}
