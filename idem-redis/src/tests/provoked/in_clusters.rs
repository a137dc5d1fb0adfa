//! What nodes of clusters refuse.

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

pub(super) async fn elsewhere() -> String {
    let cluster = two_masters().await;
    let (_, other) = masters(&cluster, "key").await;
    refusal(&other, &["GET", "key"]).await
}

pub(super) async fn on_its_way() -> String {
    let cluster = two_masters().await;
    let (from, to) = masters(&cluster, "key").await;
    let _migration = cluster.begin_migration(slot(b"key"), &to).await;
    refusal(&from, &["SET", "key", "value", "NX", "GET", "PX", "1000"]).await
}

/// Of what is asked for with `ASKING`, a part has not come yet.
pub(super) async fn torn_apart() -> String {
    let cluster = two_masters().await;
    let (_, to) = masters(&cluster, "{key}").await;
    let _migration = cluster.begin_migration(slot(b"key"), &to).await;
    let mut connection = to.connect().await.unwrap();
    connection.command(&["ASKING"]).await.unwrap();
    connection.command(&["MGET", "{key}1", "{key}2"]).await.unwrap().text()
}

pub(super) async fn nobodys() -> String {
    let node = Server::options().config("cluster-enabled yes").start().await;
    refusal(&node, &["GET", "key"]).await
}

pub(super) async fn of_two_slots() -> String {
    let cluster = two_masters().await;
    refusal(&cluster.nodes()[0], &["MGET", "a", "b"]).await
}

/// It names another key than the one that it was sent for.
pub(super) async fn script_elsewhere() -> String {
    let cluster = two_masters().await;
    let (_, other) = masters(&cluster, "key").await;
    refusal(&other, &["EVAL", "return redis.call('GET', 'key')", "0"]).await
}
