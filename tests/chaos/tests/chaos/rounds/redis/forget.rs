//! Servers repeatedly drop their scripts (`SCRIPT FLUSH`) or the store's connections (`CLIENT KILL`).

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::load;
use crate::environment::redis::cluster::{options, turn};
use crate::judge::rules::{Reads, Report};
use crate::table::judged;

const TIMES: usize = 15;

pub(crate) async fn scripts(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    repeat(cluster, "scripts", seed, acks, &[&["SCRIPT", "FLUSH"]]).await
}

pub(crate) async fn connections(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let kill = [&["CLIENT", "KILL", "TYPE", "normal"][..], &["CLIENT", "KILL", "TYPE", "pubsub"]];
    repeat(cluster, "connections", seed, acks, &kill).await
}

async fn repeat(
    cluster: &Cluster,
    label: &str,
    seed: u64,
    acks: Option<Acks>,
    commands: &[&[&str]],
) -> Report {
    let mut load = load(cluster, label, seed, acks).await;
    load.run(500).await;
    for _ in 0..TIMES {
        for node in cluster.nodes() {
            for command in commands {
                node.run(command).await;
            }
        }
        load.run(100).await;
    }
    load.answered().await;
    load.finish(Reads::AreFresh).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_the_scripts() {
    let cluster = options(turn(1)).start().await;
    judged("script flush", &scripts(&cluster, 1, None).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_the_connections() {
    let cluster = options(turn(2)).start().await;
    judged("client kill", &connections(&cluster, 1, None).await);
}
