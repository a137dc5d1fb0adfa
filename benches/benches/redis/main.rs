//! idem-redis beside bare commands. `cargo bench -p idem-benches --bench redis [-- --quick] [-- --check]`
//!
//! The bench starts its own servers, of the kind that `IDEM_REDIS` names (`redis-7`, `redis-8`, `valkey-9`). The bare
//! commands are `SET NX PX`, `SET PX` and `GET` through fred, on keys and records as long as the store's: one client for
//! one server, one for the cluster.
//!
//! - `redis.json`: one server.
//! - `redis-cluster.json`: three masters; neither side waits for replicas.
//! - `redis-cluster-acks.json`: the same cluster; one replica must hold every write. The other side is not bare: it is the
//!   store without acknowledgements.

mod bare;
mod memory;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use idem_benches::{Backend, Bar, Baseline, Figure, Plan, Result, Rows, Session, WithoutAcks, Workload, run};
use idem_core::Store;
use idem_redis::{Acks, Address, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Server};

use bare::Bare;

const KIB: usize = 1_024;

fn main() -> ExitCode {
    run(env!("CARGO_TARGET_TMPDIR"), bench)
}

async fn bench(session: &mut Session) -> Result<()> {
    // More rounds than elsewhere: servers and callers share the machine, and other load affects both.
    session.plan.rounds = 2 * session.plan.rounds - 1;
    let server = Server::lone().await;
    println!("servers: {}", server.version().await);
    let memory = memory::measure(&server, &session.plan).await?;
    let lone = Redis::new(RedisConfig::standalone(address(&server)?), 0);
    let mut figures = lone_figures(&session.measure("redis", &lone, &session.plan).await?);
    figures.extend(memory);
    drop(server);

    let cluster = Cluster::start().await;
    let seeds = cluster.servers().iter().map(|server| address(server)).collect::<Result<Vec<_>>>()?;
    let bare = Redis::new(RedisConfig::cluster(seeds.clone()), 0);
    figures.extend(cluster_figures(&session.measure("redis-cluster", &bare, &session.plan).await?));
    let waiting = Waiting(Redis::new(RedisConfig::cluster(seeds), 1));
    let writes = Plan { bytes: &[KIB], ..session.plan.clone() };
    figures.extend(waiting_figures(&session.measure("redis-cluster-acks", &waiting, &writes).await?));
    session.must_hold("redis", figures)
}

fn address(server: &Server) -> Result<Address> {
    Ok(server.addr().to_string().parse()?)
}

/// The store that waits for `acks` replicas, on servers emptied first, and bare commands beside it.
struct Redis {
    config: RedisConfig,
}

impl Redis {
    fn new(mut config: RedisConfig, acks: u8) -> Self {
        config.acks = Some(Acks::Count(acks));
        Self { config }
    }

    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(RedisStore::open(self.config.clone()).await?))
    }
}

impl Backend for Redis {
    type Raw = Bare;
    /// The servers have no disk, and are emptied between rounds.
    const IN_MEMORY: bool = true;

    async fn store(&self, _directory: &Path) -> Result<Arc<dyn Store>> {
        bare::empty(&self.config).await?;
        self.open().await
    }

    async fn baselines(&self, _directory: &Path, _workload: Workload) -> Result<Vec<Baseline<Bare>>> {
        Ok(vec![Baseline { name: "bare commands", raw: Bare::connect(&self.config).await? }])
    }
}

/// The store that waits for replicas, beside the one that does not.
struct Waiting(Redis);

impl Backend for Waiting {
    type Raw = WithoutAcks;
    const IN_MEMORY: bool = true;

    async fn store(&self, directory: &Path) -> Result<Arc<dyn Store>> {
        self.0.store(directory).await
    }

    async fn baselines(&self, _directory: &Path, _workload: Workload) -> Result<Vec<Baseline<WithoutAcks>>> {
        let mut config = self.0.config.clone();
        "zero:".clone_into(&mut config.prefix);
        let store = Redis::new(config, 0).open().await?;
        Ok(vec![Baseline { name: "the same store with acks = 0", raw: WithoutAcks(store) }])
    }
}

fn held(all: &[Rows], what: &str, workload: Workload, callers: usize, bar: f64) -> Figure {
    let ratio = all.first().and_then(|rows| rows.get(workload, callers, KIB)).map(|row| row.ratio);
    Figure::held(format!("{what}, callers: {callers}"), ratio, "x", Bar::AtLeast(bar))
}

/// Throughput of 512 callers against that of 64: more callers must not lower it.
fn growth(all: &[Rows], what: &str, workload: Workload) -> Figure {
    let rate = |callers| Some(all.first()?.get(workload, callers, KIB)?.ops_per_s);
    let growth = rate(512).zip(rate(64)).map(|(more, fewer)| more / fewer);
    Figure::held(format!("{what}, 512 callers against 64"), growth, "x", Bar::AtLeast(1.0))
}

fn lone_figures(all: &[Rows]) -> Vec<Figure> {
    vec![
        held(all, "one server: lock against SET NX PX", Workload::Lock, 64, 0.9),
        held(all, "one server: cycle against SET NX PX + SET PX", Workload::Cycle, 64, 0.8),
        held(all, "one server: replay against GET", Workload::Replay, 64, 0.85),
        growth(all, "one server: lock", Workload::Lock),
        growth(all, "one server: cycle", Workload::Cycle),
    ]
}

fn cluster_figures(all: &[Rows]) -> Vec<Figure> {
    vec![
        held(all, "cluster: lock against SET NX PX", Workload::Lock, 64, 0.85),
        held(all, "cluster: replay against GET", Workload::Replay, 64, 0.85),
        growth(all, "cluster: lock", Workload::Lock),
    ]
}

fn waiting_figures(all: &[Rows]) -> Vec<Figure> {
    vec![
        held(all, "cluster, acks = 1: lock against acks = 0", Workload::Lock, 64, 0.5),
        held(all, "cluster, acks = 1: lock against acks = 0", Workload::Lock, 512, 0.65),
        growth(all, "cluster, acks = 1: lock", Workload::Lock),
    ]
}
