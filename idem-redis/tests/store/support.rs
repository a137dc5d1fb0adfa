//! Helpers that the tests share.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Claim, Effect, ErrorKind, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store,
};
use idem_redis::{Address, Deployment, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Node, Server, ServerOptions};
use tokio::time::{sleep, timeout};

pub(crate) fn address(node: &Node) -> Address {
    node.addr().to_string().parse().unwrap()
}

/// A configuration with short time limits, so that failures come soon.
pub(crate) fn config(server: &Node) -> RedisConfig {
    let mut config = RedisConfig::standalone(address(server));
    config.call_timeout = Duration::from_secs(2);
    config.connect_timeout = Duration::from_millis(500);
    config.response_timeout = Duration::from_millis(500);
    config.ack_timeout = Duration::from_millis(200);
    config.check_interval = Duration::from_millis(100);
    config
}

/// As [`config`], for a cluster.
pub(crate) fn cluster_config(cluster: &Cluster) -> RedisConfig {
    let mut config = config(&cluster.nodes()[0]);
    config.servers = cluster.nodes().iter().map(address).collect();
    config.deployment = Deployment::Cluster;
    config
}

/// A sentinel that monitors `master` under the name `shop`, and needs no other to agree on a failover.
pub(crate) fn sentinel_of(master: &Node, options: ServerOptions) -> ServerOptions {
    options.prefix(["sh", "-c", "exec \"$0\" \"$1\" --sentinel"]).config(format!(
        "sentinel monitor shop {} {} 1",
        master.host(),
        master.port()
    ))
}

pub(crate) async fn lone() -> (Server, RedisStore) {
    let server = Server::lone().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    (server, store)
}

pub(crate) async fn refusal(config: RedisConfig) -> (ErrorKind, String) {
    match RedisStore::open(config).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => (error.kind(), format!("{error} {error:?}")),
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(&Scope::shared(), name).unwrap()
}

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::builder("test").part("request").finish()
}

pub(crate) fn claim() -> Claim {
    let (lease, retention) = (Duration::from_secs(30), Duration::from_mins(5));
    Claim { owner: Owner::random().unwrap(), lease, retention }
}

pub(crate) async fn lock(store: &RedisStore, name: &str) -> Result<LockAnswer> {
    store.lock(&key(name), &fingerprint(), &claim()).await
}

pub(crate) async fn acquire(store: &RedisStore, name: &str) -> Lease {
    match lock(store, name).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{name}: {other:?}"),
    }
}

pub(crate) fn value() -> Outcome {
    Outcome::Value(Bytes::from_static(b"receipt 17"))
}

pub(crate) async fn complete(store: &RedisStore, lease: &Lease) -> Result<Effect> {
    store.complete(lease, value(), lease.retention()).await
}

/// Locks and completes `name`.
pub(crate) async fn completed(store: &RedisStore, name: &str) {
    let lease = acquire(store, name).await;
    assert_eq!(complete(store, &lease).await.unwrap(), Effect::Applied);
}

pub(crate) async fn assert_replays(store: &RedisStore, name: &str) {
    match lock(store, name).await.unwrap() {
        LockAnswer::Completed(replay) => assert_eq!(replay.outcome, value()),
        other => panic!("{name}: {other:?}"),
    }
}

pub(crate) fn kind<T: std::fmt::Debug>(answer: Result<T>) -> ErrorKind {
    answer.unwrap_err().kind()
}

/// How often `node` was sent `command`, by its `INFO commandstats`.
pub(crate) async fn calls_of(node: &Node, command: &str) -> u64 {
    let stats = node.run(&["INFO", "commandstats"]).await;
    let Some(stats) = stats.field(&format!("cmdstat_{command}")) else { return 0 };
    let calls = stats.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    calls.unwrap_or_else(|| panic!("{stats}")).parse().unwrap()
}

/// Waits until a store has begun and ended a check of `node`. A check asks for the time.
pub(crate) async fn wait_for_check(node: &Node) {
    let before = calls_of(node, "time").await;
    let checked = async {
        while calls_of(node, "time").await < before + 3 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), checked).await.unwrap();
}

/// Waits until `master` has this many connected replicas, caught up or not.
pub(crate) async fn wait_for_replicas(master: &Node, replicas: &str) {
    let connected = async {
        while master.run(&["INFO", "replication"]).await.field("connected_slaves").as_deref()
            != Some(replicas)
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), connected).await.unwrap();
}

/// Repeats `call` until it succeeds.
pub(crate) async fn recovers<F: Future<Output = Result<LockAnswer>>>(mut call: impl FnMut() -> F) {
    let wait = async {
        while call().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.unwrap();
}

/// Waits until the entry for `node` contains `text` in the `CLUSTER NODES` of every node.
pub(crate) async fn all_report(cluster: &Cluster, node: &str, text: &str) {
    let agreed = async {
        for other in cluster.nodes() {
            loop {
                let nodes = other.run(&["CLUSTER", "NODES"]).await.text();
                if nodes.lines().any(|line| line.starts_with(node) && line.contains(text)) {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    timeout(Duration::from_mins(1), agreed)
        .await
        .unwrap_or_else(|_| panic!("not all nodes report {text} for {node}"));
}
