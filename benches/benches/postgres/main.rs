//! idem-postgres beside bare statements. `cargo bench -p idem-benches --bench postgres [-- --quick] [-- --check]`
//!
//! The bench starts its own server, of the version that `IDEM_POSTGRES` names (`postgres-15`, `postgres-18`), with `fsync`.
//! The bare statements are `INSERT`, `UPDATE` and `SELECT` by key on a table of keys and records, through a pool of 32
//! connections, as an application without idem would send them: once of deadpool, against which the figures are held, and
//! once of sqlx.
//!
//! With a standby, which has applied a commit before it is answered, cycles are measured in the same way, and locks with and
//! without `acks`, which adds a statement behind each commit.
//!
//! `payment` is a payment in a transaction of the application that also completes its key, beside a payment in a
//! transaction that also writes a row of keys of the application's own. `open_transaction` is what callers of other keys notice
//! of a transaction that stays open and has completed or locked a key. `pools` is the store on an application's pool beside the
//! same store with connections of its own.

mod bare;
mod open_transaction;
mod payment;
mod pools;
mod standby;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use idem_benches::{Backend, Bar, Baseline, Figure, LEASE, RETENTION, Result, Rows, Session, Workload, run};
use idem_core::{Claim, Fingerprint, Owner, Store};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Node, Server};

use bare::{Bare, Pool};

const KIB: usize = 1_024;

fn main() -> ExitCode {
    run(env!("CARGO_TARGET_TMPDIR"), bench)
}

async fn bench(session: &mut Session) -> Result<()> {
    // Two of the server's defaults are changed: the number of connections, and `max_wal_size`, since a checkpoint every
    // gigabyte would hit one side or the other.
    let server =
        Server::options().config("max_connections = 200").config("max_wal_size = '8GB'").start().await;
    println!("server: {}", server.node().sql("SHOW server_version").await);
    let postgres = Postgres { node: server.node(), schema: "idem".to_owned(), acks: 0 };
    let mut figures = figures(&session.measure("postgres", &postgres, &session.plan).await?);
    figures.extend(payment::measure(&postgres, session).await?);
    figures.extend(open_transaction::measure(&postgres, session).await?);
    figures.extend(pools::measure(&postgres, session).await?);
    drop(server);
    figures.extend(standby::measure(session).await?);
    session.must_hold("postgres", figures)
}

struct Postgres {
    node: Node,
    schema: String,
    acks: u8,
}

impl Postgres {
    /// The store in an empty schema.
    async fn open(&self) -> Result<PostgresStore> {
        self.node.sql(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema)).await;
        let mut config = PostgresConfig::new([self.node.addr().to_string().parse()?], "postgres");
        (config.schema, config.acks) = (self.schema.clone(), self.acks);
        Ok(PostgresStore::open(config).await?)
    }
}

impl Backend for Postgres {
    type Raw = Bare;
    const IN_MEMORY: bool = false;

    async fn store(&self, _directory: &Path) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(self.open().await?))
    }

    async fn baselines(&self, _directory: &Path, _workload: Workload) -> Result<Vec<Baseline<Bare>>> {
        Ok(vec![
            Baseline { name: "deadpool", raw: Bare::on(Pool::deadpool(&self.node)?, "bare_deadpool").await? },
            Baseline { name: "sqlx", raw: Bare::on(Pool::sqlx(&self.node).await?, "bare_sqlx").await? },
        ])
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([7; 32])
}

fn claim() -> Result<Claim> {
    Ok(Claim { owner: Owner::random()?, lease: LEASE, retention: RETENTION })
}

/// Against the first of those that were measured beside the store.
fn ratio(all: &[Rows], workload: Workload, callers: usize) -> Option<f64> {
    all.first().and_then(|rows| rows.get(workload, callers, KIB)).map(|row| row.ratio)
}

fn figures(all: &[Rows]) -> Vec<Figure> {
    let held = |what: &str, workload, callers, bar| {
        let what = format!("{what}, callers: {callers}");
        Figure::held(what, ratio(all, workload, callers), "x", Bar::AtLeast(bar))
    };
    let lock = "lock against INSERT";
    let cycle = "cycle against INSERT + UPDATE";
    vec![
        held(lock, Workload::Lock, 1, 0.6),
        held(lock, Workload::Lock, 8, 0.6),
        held(lock, Workload::Lock, 64, 1.6),
        held(lock, Workload::Lock, 512, 1.6),
        held(cycle, Workload::Cycle, 1, 0.5),
        held(cycle, Workload::Cycle, 8, 0.6),
        held(cycle, Workload::Cycle, 64, 1.6),
        held(cycle, Workload::Cycle, 512, 2.2),
        held("replay against SELECT", Workload::Replay, 64, 1.8),
    ]
}
