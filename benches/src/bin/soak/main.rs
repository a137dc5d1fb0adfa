//! Saturates stores with short-lived keys and fails when anything grows that should not. `scripts/soak [minutes]
//! [URI...]`
//!
//! Callers execute, retry, race for one key, save checkpoints, crash and give up, with leases and retentions of seconds;
//! one scope floods the store all the while. The number of records, the file or the table, memory (of a server's as well),
//! connections, tasks and the time of a `lock` are sampled each second: the last third of the run must look like the third before it. In a
//! run below five minutes the times are printed, not judged. Every answer is held to the promises: one execution for a
//! key, the same value for every retry, `Full` for the flooding scope alone.

mod answers;
#[cfg(test)]
mod broken;
mod caller;
mod database;
mod flood;
mod judge;
mod ledger;

mod probe;
mod sample;
mod times;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_benches::Result;
use idem_core::{Registry, Store};
use idem_servers::{postgres, redis};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use caller::Caller;
use judge::Verdict;
use ledger::Ledger;
use probe::Probe;
use sample::Sample;

const CALLERS: usize = 64;
const USAGE: &str = "soak [minutes for each store = 10] [URI...]; without a URI: redb, moka, and a Redis and a PostgreSQL of its own";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let minutes = arguments.next().unwrap_or_else(|| "10".to_owned());
    let Ok(minutes) = minutes.parse() else {
        eprintln!("{minutes:?} is not a number of minutes: {USAGE}");
        return ExitCode::from(2);
    };
    match soak_all(minutes, &arguments.collect::<Vec<_>>()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn soak_all(minutes: u64, uris: &[String]) -> Result<bool> {
    let length = Duration::from_mins(minutes.max(1));
    if !uris.is_empty() {
        let mut holds = true;
        for uri in uris {
            holds &= soak(uri, length).await?;
        }
        return Ok(holds);
    }
    let folder = tempfile::tempdir()?;
    let redb = format!("redb:{}", folder.path().join("soak.idem").display());
    let server = redis::Server::lone().await;
    println!("redis: is {}", server.version().await);
    let mut holds = true;
    // Bounded, so that the flood reaches the bound. The tenth that a flood leaves to the others is more than they keep.
    for uri in [redb, "moka:?max_bytes=256MiB".to_owned(), format!("redis://{}", server.addr())] {
        holds &= soak(&uri, length).await?;
    }
    drop(server);
    // As idem-postgres' README asks for under full load.
    let server = postgres::Server::options().config("autovacuum_naptime = 10").start().await;
    println!("postgres: is {}", server.sql("SHOW server_version").await);
    holds &= soak(&server.uri(), length).await?;
    Ok(holds)
}

/// Puts one store under load for `length`. Returns whether everything held.
async fn soak(uri: &str, length: Duration) -> Result<bool> {
    println!("\n{} for {} s", idem_core::config::masked(uri), length.as_secs());
    let store = registry().open(uri).await?;
    let ledger = Arc::new(Ledger::default());
    let samples = load(&store, &ledger, Probe::new(&store, uri).await?, length).await;
    let verdict = Verdict::of(&samples, &ledger);
    println!("{verdict}");
    Ok(verdict.holds())
}

fn registry() -> Registry {
    [idem_redb::DRIVER, idem_moka::DRIVER, idem_redis::DRIVER, idem_postgres::DRIVER]
        .into_iter()
        .fold(Registry::new(), Registry::with)
}

async fn load(
    store: &Arc<dyn Store>,
    ledger: &Arc<Ledger>,
    mut probe: Probe,
    length: Duration,
) -> Vec<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..CALLERS {
        tasks.spawn(Caller::new(number, store, ledger).run(Arc::clone(&stop)));
    }
    for number in 0..flood::CALLERS {
        tasks.spawn(flood::run(number, Arc::clone(store), Arc::clone(ledger), Arc::clone(&stop)));
    }
    let begun = Instant::now();
    let mut samples = Vec::new();
    println!("{}", probe.header());
    for second in 1..=length.as_secs() {
        sleep_until(begun + Duration::from_secs(second)).await;
        let sample = probe.sample(ledger).await;
        if second.is_multiple_of((length.as_secs() / 20).max(1)) {
            println!("{second:>5} {sample}");
        }
        samples.push(sample);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            ledger.violation(format!("a caller panicked: {error}"));
        }
    }
    samples
}
