//! Holders sleep past their lease and then continue as if they still held the key.

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::load_on;
use crate::environment::redis::cluster::{options, turn};
use crate::judge::rules::{Reads, Report};
use crate::rounds::paused::{run, until_both_were_seen, with_sleepers};

pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let load = load_on(cluster, "paused", seed, acks, with_sleepers()).await;
    run(&load).await;
    load.finish(Reads::AreFresh).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_sleeps_past_its_lease_is_refused_once_another_took_over() {
    let cluster = options(turn(0)).start().await;
    until_both_were_seen(async |seed| round(&cluster, seed, None).await).await;
}
