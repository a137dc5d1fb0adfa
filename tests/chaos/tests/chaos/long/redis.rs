//! The cycle of rounds on Redis.

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use super::until_the_time_is_over;
use crate::callers::inside;
use crate::environment::redis::cluster::{options, turn};
use crate::environment::redis::divide::Divided;
use crate::judge::rules::Report;
use crate::rounds::redis::{failover, forget, freeze, healthy, kill, migrate, partition, paused};
use crate::table::Table;

const TEST: &str = "long::redis::rounds_of_all_kinds_until_the_time_is_over";
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for a chosen number of minutes: scripts/chaos redis [minutes] [seed]"]
async fn rounds_of_all_kinds_until_the_time_is_over() {
    if let Some(task) = inside::task() {
        return inside::work(task).await;
    }
    until_the_time_is_over(cycle).await;
}

/// One round of each kind, on the kind of server whose turn it is.
async fn cycle(seed: u64, mut table: Table) -> Table {
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
    table
}

async fn dead(full_coverage: &'static str, seed: u64) -> Report {
    let cluster: Cluster = healthy::start(turn(seed), full_coverage).await;
    healthy::round(&cluster, seed, None).await
}
