//! What updates and removals leave in the table of idem-postgres under full load, beside what lives in it.
//! `cargo run --profile bench -p idem-benches --bin postgres-bloat [-- minutes = 10 [naptime = 10 [snapshot = 0]]]`
//!
//! 64 callers lock and complete keys as fast as they can, with outcomes of 1 KiB that are kept for 5 seconds, on a server of
//! its own with this `autovacuum_naptime` (seconds). It fails when, in the last third of the run, table and indexes take more
//! than five times the most bytes that ever lived in them, or a quarter more than in the third before it. With `snapshot`, a
//! transaction elsewhere begins after a third of the run, and keeps its snapshot for so many seconds: the growth is then
//! printed, not judged.

mod load;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use idem_benches::{Result, TABLE_HEADER, Table, connect};
use idem_core::Store;
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::Server;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Client;

const USAGE: &str = "postgres-bloat [minutes = 10] [autovacuum_naptime = 10] [seconds of a snapshot = 0]";
/// Between two looks, in seconds.
const LOOKS: u64 = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).map(|argument| argument.parse()).collect();
    let [minutes, naptime, snapshot] = [(0, 10), (1, 10), (2, 0)].map(|(at, default)| {
        arguments
            .get(at)
            .map_or(Some(default), |argument: &std::result::Result<u64, _>| argument.clone().ok())
    });
    let (Some(minutes), Some(naptime), Some(snapshot)) = (minutes, naptime, snapshot) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match measure(minutes.max(1) * 60, naptime, snapshot).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("postgres-bloat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(seconds: u64, naptime: u64, snapshot: u64) -> Result<bool> {
    let server = Server::options()
        .config(format!("autovacuum_naptime = {naptime}"))
        .config("max_wal_size = '4GB'")
        .start()
        .await;
    println!("server: {}, autovacuum_naptime {naptime} s", server.sql("SHOW server_version").await);
    let store: Arc<dyn Store> = Arc::new(
        PostgresStore::open(PostgresConfig::new([server.addr().to_string().parse()?], "postgres")).await?,
    );
    let (stop, cycles) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..load::CALLERS {
        callers.spawn(load::run(Arc::clone(&store), Arc::clone(&stop), Arc::clone(&cycles)));
    }
    let tables = look(&connect(&server.uri()).await?, &server, seconds, snapshot, &cycles).await?;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let (told, holds) = verdict::of(&tables, snapshot > 0);
    println!("{told}");
    Ok(holds)
}

async fn look(
    client: &Client,
    server: &Server,
    seconds: u64,
    snapshot: u64,
    cycles: &AtomicU64,
) -> Result<Vec<Table>> {
    println!("    s  cycles/s  {TABLE_HEADER}");
    let (begun, elsewhere) = (Instant::now(), connect(&server.uri()).await?);
    let (from, until) = (seconds / 3, seconds / 3 + snapshot);
    let mut tables = Vec::new();
    for second in (LOOKS..=seconds).step_by(usize::try_from(LOOKS)?) {
        sleep_until(begun + Duration::from_secs(second)).await;
        if snapshot > 0 && (from..from + LOOKS).contains(&second) {
            elsewhere.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await?;
            println!("a snapshot is held for {snapshot} s");
        }
        if snapshot > 0 && (until..until + LOOKS).contains(&second) {
            elsewhere.batch_execute("ROLLBACK").await?;
            println!("the snapshot is gone");
        }
        let table = Table::of(client).await?;
        println!("{second:>5}  {:>8}  {table}", cycles.swap(0, Ordering::Relaxed) / LOOKS);
        tables.push(table);
    }
    Ok(tables)
}
