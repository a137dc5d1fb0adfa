//! The HTTP layer beside the bare route. `cargo bench -p idem-benches --bench http [-- --quick] [-- --check]`
//!
//! - Over loopback: 64 connections send requests to axum as fast as they are answered, in rounds that alternate between
//!   the bare route, the layer on moka and the layer on redb. Callers write prepared bytes and look only for the length
//!   of the answer, so they take little of the machine from the servers.
//! - In process: the time that a replay on moka adds to one call of the service, without a socket.
//! - Allocations of an execution and a replay, with few keys and with many.
//!
//! Writes `http.json` (the rows) and `http-must-hold.json`.

mod app;
mod calls;
mod load;

use std::process::ExitCode;
use std::sync::Arc;

use idem_benches::{Bar, Figure, Plan, Result, Session, median, run};
use idem_core::Store;
use idem_moka::{MokaConfig, MokaStore};
use idem_redb::RedbStore;
use serde::Serialize;

use app::{Server, bare, layered};
use load::{Asked, Load, Round};

const CONNECTIONS: usize = 64;

/// A row like those of the other benches; `raw` is the bare route.
#[derive(Serialize)]
struct Row {
    workload: &'static str,
    store: &'static str,
    callers: usize,
    bytes: usize,
    ops_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    raw_ops_per_s: f64,
    ratio: f64,
}

fn main() -> ExitCode {
    run(env!("CARGO_TARGET_TMPDIR"), bench)
}

async fn bench(session: &mut Session) -> Result<()> {
    let moka: Arc<dyn Store> = Arc::new(MokaStore::new(big())?);
    let redb: Arc<dyn Store> = Arc::new(RedbStore::open(session.directory()?.join("http.idem")).await?);
    let servers = [
        Server::start(bare()).await?,
        Server::start(layered(moka)?).await?,
        Server::start(layered(redb)?).await?,
    ];
    let mut rows = Vec::new();
    for asked in [Asked::Fresh, Asked::Replay] {
        rows.extend(measure(&servers, asked, &session.plan).await?);
    }
    println!("\nhttp against the bare route, {CONNECTIONS} connections, answers of {} bytes", app::BODY);
    for row in &rows {
        println!(
            "{:<16} {:<5} {:>9.0} requests/s  p50 {:>7.0} us  p99 {:>7.0} us  {:>9.0} bare  {:.2}x",
            row.workload, row.store, row.ops_per_s, row.p50_us, row.p99_us, row.raw_ops_per_s, row.ratio
        );
    }
    session.publish("http", &rows)?;
    let rate = |workload, store| rows.iter().find(|row| (row.workload, row.store) == (workload, store));
    let ratio = |workload, store| rate(workload, store).map(|row| row.ratio);
    let redb_to_moka = rate("replay", "redb").zip(rate("replay", "moka"));
    let mut figures = vec![
        Figure::held(
            "first execution on moka against the bare route",
            ratio("first execution", "moka"),
            "x",
            Bar::AtLeast(0.8),
        ),
        Figure::held(
            "replay on moka against the bare route",
            ratio("replay", "moka"),
            "x",
            Bar::AtLeast(0.9),
        ),
        Figure::held(
            "replay on redb against replay on moka",
            redb_to_moka.map(|(redb, moka)| redb.ops_per_s / moka.ops_per_s),
            "x",
            Bar::AtLeast(0.7),
        ),
    ];
    figures.extend(calls::figures(&session.plan).await?);
    session.must_hold("http", figures)
}

fn big() -> MokaConfig {
    let mut config = MokaConfig::default();
    (config.max_bytes, config.max_entries) = (8 << 30, 8_000_000);
    config
}

/// Medians of rounds that alternate.
async fn measure(servers: &[Server; 3], asked: Asked, plan: &Plan) -> Result<Vec<Row>> {
    let mut loads = Vec::new();
    for server in servers {
        let mut load = Load::open(server.addr(), CONNECTIONS, asked).await?;
        load.round(plan.warm_up).await?;
        loads.push((load, Vec::<Round>::new()));
    }
    for _ in 0..plan.rounds {
        for (load, rounds) in &mut loads {
            rounds.push(load.round(plan.round).await?);
        }
    }
    let raw_ops_per_s = median(&loads[0].1, |round| round.per_s);
    let row = |(store, (_, rounds)): (&'static str, &(Load, Vec<Round>))| {
        let ops_per_s = median(rounds, |round| round.per_s);
        Row {
            workload: asked.name(),
            store,
            callers: CONNECTIONS,
            bytes: app::BODY,
            ops_per_s,
            p50_us: median(rounds, |round| round.p50_us),
            p99_us: median(rounds, |round| round.p99_us),
            raw_ops_per_s,
            ratio: ops_per_s / raw_ops_per_s,
        }
    };
    Ok(["moka", "redb"].into_iter().zip(&loads[1..]).map(row).collect())
}
