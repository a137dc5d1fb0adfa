//! The cycle of rounds on PostgreSQL.

use super::until_the_time_is_over;
use crate::environment::postgres::store::{options, turn};
use crate::rounds::postgres::clock::Timed;
use crate::rounds::postgres::{
    clock, connections, crowded, freeze, full_disk, kill, maintenance, pair, partition, paused, row_locks,
    snapshot,
};
use crate::table::Table;

const TEST: &str = "long::postgres::rounds_of_all_kinds_until_the_time_is_over";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for a chosen number of minutes: scripts/chaos postgres [minutes] [seed]"]
async fn rounds_of_all_kinds_until_the_time_is_over() {
    if full_disk::inside().await {
        return;
    }
    until_the_time_is_over(cycle).await;
}

/// One round of each kind, on the version of the server whose turn it is.
async fn cycle(seed: u64, mut table: Table) -> Table {
    let kind = turn(seed);
    let server = options(kind).start().await;
    table.kept("kill", &kill::round(&server, seed).await);
    table.kept("freeze", &freeze::round(&server, seed).await);
    table.kept("ended connections", &connections::round(&server, seed).await);
    table.kept("maintenance", &maintenance::round(&server, seed).await);
    table.kept("row locks", &row_locks::round(&server, seed).await);
    table.kept("old snapshot", &snapshot::round(&server, seed).await);
    table.kept("paused holders", &paused::round(&server, seed).await);
    table.kept("partition", &partition::round(&server, seed).await);
    drop(server);
    table.lost("kill, synchronous_commit = off", &kill::round(&kill::careless(kind).await, seed).await);
    table.kept("no connection left", &crowded::round(&crowded::start(kind).await, seed).await);
    table.kept("clock", &clock::round(&mut Timed::start(kind).await, seed).await);
    table.kept("full disk", &full_disk::round(TEST, seed).await);
    table.kept("promotion", &pair::promote::round(kind, seed).await);
    table.lost("promotion, asynchronous", &pair::lagging::round(kind, seed).await);
    table.kept("standby cut off", &pair::standby_lost::round(kind, seed).await);
    table.kept("split brain", &pair::split_brain::round(kind, seed, 1).await);
    table.lost("split brain, acks = 0", &pair::split_brain::round(kind, seed, 0).await);
    table.kept("names emptied", &pair::emptied::round(kind, seed).await);
    table
}
