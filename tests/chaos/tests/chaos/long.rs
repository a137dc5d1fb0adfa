//! The long run: rounds of all kinds, each cycle with a new seed, until the time is up. A table sums up the results.

use std::time::Duration;

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use crate::callers::inside;
use crate::environment::cluster::{options, turn};
use crate::environment::divide::Divided;
use crate::judge::history::now;
use crate::judge::rules::Report;
use crate::rounds::{failover, forget, freeze, healthy, kill, migrate, partition, paused};
use crate::table::Table;

const TEST: &str = "long::rounds_of_all_kinds_until_the_time_is_over";
const MINUTES: &str = "IDEM_CHAOS_MINUTES";
const SEED: &str = "IDEM_CHAOS_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for a chosen number of minutes: scripts/chaos [minutes] [seed]"]
async fn rounds_of_all_kinds_until_the_time_is_over() {
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    let minutes = number(MINUTES).unwrap_or(10);
    let first = number(SEED).unwrap_or_else(|| now() % 1_000_000);
    let end = now() + u64::try_from(Duration::from_mins(minutes).as_micros()).unwrap();
    let mut table = Table::default();
    for seed in first.. {
        println!("seed {seed}");
        cycle(seed, &mut table).await;
        println!("{table}");
        if now() > end {
            break;
        }
    }
    table.judge();
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}

/// One round of each kind, on the kind of server whose turn it is.
async fn cycle(seed: u64, table: &mut Table) {
    let kind = turn(seed);
    let none = Some(Acks::Count(0));
    let cluster = options(kind).start().await;
    let cluster = &cluster;
    table.kept("failover", &failover::round(cluster, seed, None).await);
    table.kept("script flush", &forget::scripts(cluster, seed, None).await);
    table.kept("client kill", &forget::connections(cluster, seed, None).await);
    table.kept("paused holders", &paused::round(cluster, seed, None).await);
    table.kept("slot migration", &migrate::round(cluster, seed, None).await);
    table.kept("freeze", &freeze::round(cluster, seed, None).await);
    table.kept("kill", &kill::round(cluster, seed, None).await);
    table.lost("kill, acks = 0", &kill::round(cluster, seed, none).await);
    table.kept("dead, full coverage no", &dead("no", seed).await);
    table.kept("dead, full coverage yes", &dead("yes", seed).await);
    let divided = Divided::start(kind, 1).await;
    table.kept("partition", &partition::round(&divided, seed, None, TEST).await);
    table.lost("partition, acks = 0", &partition::round(&divided, seed, none, TEST).await);
    drop(divided);
    let divided = Divided::start(kind, 2).await;
    table.kept("partition, 2 replicas", &partition::round(&divided, seed, None, TEST).await);
    let one = Some(Acks::Count(1));
    table.lost("partition, 2 replicas, acks = 1", &partition::round(&divided, seed, one, TEST).await);
}

async fn dead(full_coverage: &'static str, seed: u64) -> Report {
    let cluster: Cluster = healthy::start(turn(seed), full_coverage).await;
    healthy::round(&cluster, seed, None).await
}
