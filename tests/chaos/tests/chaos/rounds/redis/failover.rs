//! Masters hand over to their replicas, one after another (`CLUSTER FAILOVER`).

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::load;
use crate::environment::redis::cluster::{options, turn};
use crate::judge::rules::{Reads, Report};
use crate::table::judged;

pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let mut load = load(cluster, "failover", seed, acks).await;
    load.run(700).await;
    for master in cluster.masters().await {
        let replica = cluster.replica_of(&master).await;
        cluster.failover(&replica).await;
        load.run(300).await;
    }
    load.answered().await;
    cluster.wait_ok().await;
    load.finish(Reads::AreFresh).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_masters_hand_over() {
    let cluster = options(turn(2)).start().await;
    judged("failover", &round(&cluster, 1, None).await);
}
