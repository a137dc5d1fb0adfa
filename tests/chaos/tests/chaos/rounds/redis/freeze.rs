//! A master hangs until it is replaced, and then continues as if nothing had happened (SIGSTOP, SIGCONT).

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::load;
use crate::environment::redis::cluster::{options, replaced, turn};
use crate::judge::rules::{Reads, Report};
use crate::rng::Rng;
use crate::table::judged;

pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let mut load = load(cluster, "freeze", seed, acks).await;
    load.run(700).await;
    let master = Rng::new(seed).pick(&[0, 1, 2]);
    let master = cluster.masters().await[master].clone();
    cluster.server(&master).stop();
    replaced(cluster, &master).await;
    load.run(700).await;
    cluster.server(&master).cont();
    load.answered().await;
    load.run(500).await;
    cluster.wait_ok().await;
    // The master answers the calls that were waiting before it learns that it was replaced.
    load.finish(Reads::MayBeStale).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_a_master_that_hangs_past_its_replacement() {
    let cluster = options(turn(1)).start().await;
    judged("freeze", &round(&cluster, 1, None).await);
}
