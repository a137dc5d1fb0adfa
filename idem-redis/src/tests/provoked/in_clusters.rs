//! Errors of the nodes of a cluster.

use idem_servers::redis::{Cluster, Node, Server, slot};

use super::support::refusal;

async fn two_masters() -> Cluster {
    Cluster::options().masters(2).replicas(0).start().await
}

/// The master of the slot of `key`, and the other.
async fn masters(cluster: &Cluster, key: &str) -> (Node, Node) {
    let here = cluster.master_of(slot(key.as_bytes())).await;
    let there = cluster.masters().await.into_iter().find(|node| *node != here).unwrap();
    (here, there)
}

pub(super) async fn slot_elsewhere() -> String {
    let cluster = two_masters().await;
    let (_, other) = masters(&cluster, "key").await;
    refusal(&other, &["GET", "key"]).await
}

pub(super) async fn migrating_slot() -> String {
    let cluster = two_masters().await;
    let (from, to) = masters(&cluster, "key").await;
    let _migration = cluster.begin_migration(slot(b"key"), &to).await;
    refusal(&from, &["SET", "key", "value", "NX", "GET", "PX", "1000"]).await
}

/// A command with two keys goes to the importing server, which does not have both of them yet.
pub(super) async fn keys_split_by_migration() -> String {
    let cluster = two_masters().await;
    let (_, to) = masters(&cluster, "{key}").await;
    let _migration = cluster.begin_migration(slot(b"key"), &to).await;
    let mut connection = to.connect().await.unwrap();
    connection.command(&["ASKING"]).await.unwrap();
    connection.command(&["MGET", "{key}1", "{key}2"]).await.unwrap().text()
}

pub(super) async fn unassigned_slot() -> String {
    let node = Server::options().config("cluster-enabled yes").start().await;
    refusal(&node, &["GET", "key"]).await
}

pub(super) async fn keys_of_two_slots() -> String {
    let cluster = two_masters().await;
    refusal(&cluster.nodes()[0], &["MGET", "a", "b"]).await
}

/// The script accesses a key that was not declared, in a slot of another node.
pub(super) async fn script_with_foreign_key() -> String {
    let cluster = two_masters().await;
    let (_, other) = masters(&cluster, "key").await;
    refusal(&other, &["EVAL", "return redis.call('GET', 'key')", "0"]).await
}
