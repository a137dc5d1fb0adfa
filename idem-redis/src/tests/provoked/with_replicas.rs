//! Errors of replicas, and of `WAIT` when the master is demoted.

use std::time::Duration;

use idem_servers::redis::{Node, Pair, Server};
use tokio::time::{sleep, timeout};

use super::support::{LONG, refusal, refusal_soon};

pub(super) async fn masterless() -> String {
    let server = Server::options().config("replica-serve-stale-data no").start().await;
    let gone = Server::lone().await;
    follow(&server, &gone).await;
    drop(gone);
    refusal_soon(&server, &["GET", "key"], "MASTERDOWN").await
}

pub(super) async fn replica() -> String {
    let pair = Pair::start(1).await;
    refusal(&pair.replicas()[0], &["SET", "key", "value"]).await
}

pub(super) async fn script_on_replica() -> String {
    let pair = Pair::start(1).await;
    let script = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], '')";
    refusal(&pair.replicas()[0], &["EVAL", script, "1", "key"]).await
}

pub(super) async fn wait_on_replica() -> String {
    let pair = Pair::start(1).await;
    refusal(&pair.replicas()[0], &["WAIT", "1", "1000"]).await
}

pub(super) async fn demoted() -> String {
    let pair = Pair::start(1).await;
    let (master, replica) = (pair.master(), &pair.replicas()[0]);
    replica.stop();
    let mut connection = master.connect_within(LONG).await.unwrap();
    let waiting = tokio::spawn(async move {
        connection.command(&["SET", "key", "value"]).await.unwrap();
        connection.command(&["WAIT", "1", "60000"]).await.unwrap().text()
    });
    let blocked = async {
        while master.run(&["INFO", "clients"]).await.field("blocked_clients").as_deref() != Some("1") {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, blocked).await.unwrap();
    follow(master, replica).await;
    let text = waiting.await.unwrap();
    replica.cont();
    text
}

async fn follow(node: &Node, master: &Node) {
    node.run(&["REPLICAOF", &master.host().to_string(), &master.port().to_string()]).await;
}
