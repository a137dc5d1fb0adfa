//! One master is dead; calls for keys of the others must still be answered.

use std::ops::RangeInclusive;
use std::time::Duration;

use idem_redis::Acks;
use idem_servers::redis::{Cluster, Node, ServerKind, slot};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::load;
use crate::callers::caller::Caller;
use crate::callers::load::{probe, seconds};
use crate::callers::worker::Round;
use crate::environment::redis::cluster::{options, replaced, turn, with_replicas_user};
use crate::judge::gap::longest_gap;
use crate::judge::history::{Micros, now};
use crate::judge::rules::{Reads, Report};
use crate::rng::Rng;
use crate::table::judged;

/// The slots of the first, second and third master, and the first number of the keys that are probed on each.
const MASTERS: [(RangeInclusive<u16>, u32); 3] =
    [(0..=5460, 2_000_000), (5461..=10922, 3_000_000), (10923..=16383, 4_000_000)];
const PROBERS: u32 = 4;

/// Kills a master of a cluster in which none has been replaced yet. `gap` of the report is the longest time in which no
/// call for keys of a healthy master was answered, minus the longest time in which a healthy master did not answer a
/// `PING` either: that part is due to a busy machine.
pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let mut load = load(cluster, "healthy", seed, acks).await;
    let dead = Rng::new(seed).pick(&[0, 1, 2]);
    let mut probers = JoinSet::new();
    let mut pings = JoinSet::new();
    for (number, (slots, keys)) in MASTERS.into_iter().enumerate() {
        for prober in 0..PROBERS {
            let first = keys + prober * 100_000;
            probers.spawn(keep_asking(load.caller().clone(), load.round.clone(), slots.clone(), first));
        }
        if number != dead {
            pings.spawn(keep_pinging(cluster.nodes()[number].clone(), load.round.clone()));
        }
    }
    load.run(500).await;
    let begin = now();
    let master = cluster.nodes()[dead].clone();
    cluster.server(&master).kill();
    replaced(cluster, &master).await;
    load.run(700).await;
    let end = now();
    cluster.server(&master).restart().await;
    load.answered().await;
    load.stop().await;
    probers.join_all().await;
    let silent = pings.join_all().await.into_iter().max().unwrap_or(0);
    let mut gap = 0;
    for (number, (_, keys)) in MASTERS.into_iter().enumerate() {
        if number != dead {
            gap = gap.max(longest_gap(&load.history().copied(), keys..keys + 1_000_000, begin, end));
        }
    }
    println!("longest gap of healthy masters {}, of a PING {}", seconds(gap), seconds(silent));
    cluster.wait_ok().await;
    Report { gap: gap.saturating_sub(silent), ..load.finish(Reads::AreFresh).await }
}

/// Locks and completes keys in `slots`, one after another.
async fn keep_asking(caller: Caller, round: Round, slots: RangeInclusive<u16>, first: u32) {
    for key in first.. {
        if round.is_over() {
            return;
        }
        if slots.contains(&slot(caller.redis_key(key).as_bytes())) {
            probe(&caller, key).await;
            sleep(Duration::from_millis(5)).await;
        }
        yield_now().await;
    }
}

/// Sends `PING` until the round is over. Returns the longest time between two answers.
async fn keep_pinging(node: Node, round: Round) -> Micros {
    let mut connection = node.connect().await.unwrap();
    let (mut longest, mut last) = (0, now());
    while !round.is_over() {
        connection.command(&["PING"]).await.unwrap();
        longest = longest.max(now() - last);
        last = now();
        sleep(Duration::from_millis(5)).await;
    }
    longest
}

pub(crate) async fn start(kind: ServerKind, full_coverage: &'static str) -> Cluster {
    let coverage = format!("cluster-require-full-coverage {full_coverage}");
    options(kind).each(move |_, each| with_replicas_user(each).config(&coverage)).start().await
}

/// Uses `cluster-require-full-coverage no`. With `yes`, the default of Redis, a cluster with unserved slots refuses all
/// keys until the election, whatever the client does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_healthy_masters_are_answered_while_one_is_dead() {
    let cluster = start(turn(2), "no").await;
    let report = round(&cluster, 1, None).await;
    judged("one master dead", &report);
    assert!(report.gap <= 1_000_000, "keys of healthy masters were not answered for {}", seconds(report.gap));
}
