//! A master is cut off together with callers that keep using it, and in some rounds with one of its two replicas.

use std::path::PathBuf;
use std::time::Duration;

use idem_redis::Acks;
use idem_servers::redis::Cluster;
use tokio::time::sleep;

use crate::callers::inside::{self, Inside, Task};
use crate::callers::load::Load;
use crate::callers::worker::Round;
use crate::environment::redis::cluster::{addresses, cluster_config, open, replaced, turn};
use crate::environment::redis::divide::Divided;
use crate::judge::rules::{Reads, Report};
use crate::table::{judged, losses};

/// `test` names the calling test, which runs [`inside::work`] instead in the process of the callers inside.
pub(crate) async fn round(divided: &Divided, seed: u64, acks: Option<Acks>, test: &str) -> Report {
    divided.restore().await;
    let cluster = &divided.cluster;
    let first = &cluster.nodes()[0];
    let slots = 0..=5460;
    assert_eq!(cluster.master_of(*slots.end()).await, *first);
    let (label, round) = (format!("partition {seed} {acks:?}"), Round::new());
    let acks_inside = acks.map(|acks| if let Acks::Count(count) = acks { count } else { 1 });
    let task = Task {
        servers: addresses(cluster),
        acks: acks_inside,
        label: label.clone(),
        seed: seed + 1_000,
        begun: round.begun,
        confirms: seed.is_multiple_of(2),
        slots,
        history: PathBuf::new(),
    };
    let inside = Inside::start(test, &divided.prefix(), task).await;
    let mut config = cluster_config(&addresses(cluster), acks);
    config.confirm_replays = !seed.is_multiple_of(2);
    let mut load = Load::begin(vec![open(config).await], &label, seed, round);
    load.run(700).await;
    divided.cut();
    replaced(cluster, first).await;
    load.run(1_000).await;
    divided.heal();
    tokio::select! {
        () = load.answered() => {}
        () = flatten_chains(cluster) => {}
    }
    cluster.wait_ok().await;
    load.history().extend(inside.finish().await);
    load.finish(Reads::MayBeStale).await
}

/// Does what an operator does about a replica that keeps following another replica.
async fn flatten_chains(cluster: &Cluster) {
    loop {
        sleep(Duration::from_secs(10)).await;
        for node in cluster.flatten_chains().await {
            println!("{node} stayed the replica of a replica, and was told to follow the master");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_a_master_cut_off_together_with_callers() {
    const TEST: &str =
        "rounds::redis::partition::nothing_is_lost_with_a_master_cut_off_together_with_callers";
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    let divided = Divided::start(turn(2), 1).await;
    judged("partition", &round(&divided, 1, None, TEST).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_one_of_two_replicas_is_cut_off_with_the_master() {
    const TEST: &str =
        "rounds::redis::partition::nothing_is_lost_when_one_of_two_replicas_is_cut_off_with_the_master";
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    let divided = Divided::start(turn(0), 2).await;
    judged("partition with a replica", &round(&divided, 1, None, TEST).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_acknowledgements_a_partition_gives_second_holders() {
    const TEST: &str = "rounds::redis::partition::without_acknowledgements_a_partition_gives_second_holders";
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    let divided = Divided::start(turn(0), 1).await;
    losses("partition, acks = 0", async |seed| round(&divided, seed, Some(Acks::Count(0)), TEST).await).await;
}

/// Shows that the round with two replicas can fail: a single acknowledgement may come from the replica that is cut off
/// with the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_acknowledgement_of_two_replicas_is_not_enough() {
    const TEST: &str = "rounds::redis::partition::one_acknowledgement_of_two_replicas_is_not_enough";
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    let divided = Divided::start(turn(1), 2).await;
    losses("partition with a replica, acks = 1", async |seed| {
        round(&divided, seed, Some(Acks::Count(1)), TEST).await
    })
    .await;
}

/// Tests the proxies themselves, even where network namespaces are available.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_acknowledgements_proxies_that_cut_give_second_holders_too() {
    const TEST: &str =
        "rounds::redis::partition::without_acknowledgements_proxies_that_cut_give_second_holders_too";
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    let divided = Divided::by_proxies(turn(2), 1).await;
    losses("partition by proxies, acks = 0", async |seed| {
        round(&divided, seed, Some(Acks::Count(0)), TEST).await
    })
    .await;
    judged("partition by proxies", &round(&divided, 1, None, TEST).await);
}
