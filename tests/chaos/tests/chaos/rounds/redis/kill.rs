//! A master is killed while its replica lacks writes that the master acknowledged.

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::load;
use crate::environment::redis::cluster::{cut_replicas_off, options, replaced, turn};
use crate::judge::rules::{Reads, Report};
use crate::rng::Rng;
use crate::table::{judged, losses};

pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let mut load = load(cluster, "kill", seed, acks).await;
    load.run(1_000).await;
    let master = Rng::new(seed).pick(&[0, 1, 2]);
    let master = cluster.masters().await[master].clone();
    cut_replicas_off(&master).await;
    load.run(700).await;
    cluster.server(&master).kill();
    replaced(cluster, &master).await;
    load.run(1_000).await;
    cluster.server(&master).restart().await;
    load.answered().await;
    load.run(500).await;
    cluster.wait_ok().await;
    load.finish(Reads::AreFresh).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_a_master_that_dies_without_its_replica() {
    let cluster = options(turn(0)).start().await;
    judged("kill", &round(&cluster, 1, None).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_acknowledgements_a_dying_master_takes_locks_with_it() {
    let cluster = options(turn(1)).start().await;
    losses("kill, acks = 0", async |seed| round(&cluster, seed, Some(Acks::Count(0))).await).await;
}
