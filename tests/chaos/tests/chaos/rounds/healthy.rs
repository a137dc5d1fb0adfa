//! While one master is dead, keys of the others are answered.

use std::ops::RangeInclusive;
use std::time::Duration;

use idem_redis::Acks;
use idem_servers::redis::{Cluster, Node, ServerKind, slot};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::load;
use crate::callers::caller::Caller;
use crate::callers::load::{probe, seconds};
use crate::callers::worker::Ground;
use crate::ground::cluster::{options, replaced, turn, with_replicas_user};
use crate::judge::gap::longest_gap;
use crate::judge::history::{Micros, now};
use crate::judge::rules::{Reads, Report};
use crate::rng::Rng;
use crate::table::judged;

/// Slots of the first, second and third master, and the keys that are asked of each.
const MASTERS: [(RangeInclusive<u16>, u32); 3] =
    [(0..=5460, 2_000_000), (5461..=10922, 3_000_000), (10923..=16383, 4_000_000)];
const PROBERS: u32 = 4;

/// On a cluster in which no master has been replaced yet. In `gap`: the longest time in which no call for keys of a
/// healthy master succeeded, less the longest in which that master did not even answer a `PING` of ours, for this
/// machine may be busy.
pub(crate) async fn round(cluster: &Cluster, seed: u64, acks: Option<Acks>) -> Report {
    let mut load = load(cluster, "healthy", seed, acks).await;
    let dead = Rng::new(seed).pick(&[0, 1, 2]);
    let mut probers = JoinSet::new();
    let mut pings = JoinSet::new();
    for (number, (slots, keys)) in MASTERS.into_iter().enumerate() {
        for prober in 0..PROBERS {
            let first = keys + prober * 100_000;
            probers.spawn(keep_asking(load.caller().clone(), load.ground.clone(), slots.clone(), first));
        }
        if number != dead {
            pings.spawn(keep_pinging(cluster.nodes()[number].clone(), load.ground.clone()));
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

/// Locks and completes one key of `slots` after the other.
async fn keep_asking(caller: Caller, ground: Ground, slots: RangeInclusive<u16>, first: u32) {
    for key in first.. {
        if ground.is_over() {
            return;
        }
        if slots.contains(&slot(caller.redis_key(key).as_bytes())) {
            probe(&caller, key).await;
            sleep(Duration::from_millis(5)).await;
        }
        yield_now().await;
    }
}

/// The longest time between two answers.
async fn keep_pinging(node: Node, ground: Ground) -> Micros {
    let mut connection = node.connect().await.unwrap();
    let (mut longest, mut last) = (0, now());
    while !ground.is_over() {
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

/// With the default of Redis, `cluster-require-full-coverage yes`, a cluster that misses slots refuses all keys
/// until the election: then no client can do better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_healthy_masters_are_answered_while_one_is_dead() {
    let cluster = start(turn(2), "no").await;
    let report = round(&cluster, 1, None).await;
    judged("one master dead", &report);
    assert!(report.gap <= 1_000_000, "keys of healthy masters were not answered for {}", seconds(report.gap));
}
