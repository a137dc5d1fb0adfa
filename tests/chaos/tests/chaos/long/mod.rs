//! The long runs: rounds of all kinds, each cycle with a new seed, until the time is up. A table sums up the results.

mod postgres;
mod redis;

use std::time::Duration;

use crate::judge::history::now;
use crate::table::Table;

const MINUTES: &str = "IDEM_CHAOS_MINUTES";
const SEED: &str = "IDEM_CHAOS_SEED";

/// Runs cycles, each of which adds its rounds to the table.
///
/// # Panics
/// When a round found what must not be.
async fn until_the_time_is_over(cycle: impl AsyncFn(u64, Table) -> Table) {
    let minutes = number(MINUTES).unwrap_or(10);
    let first = number(SEED).unwrap_or_else(|| now() % 1_000_000);
    let end = now() + u64::try_from(Duration::from_mins(minutes).as_micros()).unwrap();
    let mut table = Table::default();
    for seed in first.. {
        println!("seed {seed}");
        table = cycle(seed, table).await;
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
