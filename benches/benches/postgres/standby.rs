//! With a synchronous standby that has applied a commit before it is answered.

use std::path::Path;
use std::sync::Arc;

use idem_benches::{Backend, Bar, Baseline, Figure, Plan, Result, Session, WithoutAcks, Workload};
use idem_core::Store;
use idem_servers::postgres::Pair;

use crate::{KIB, Postgres, ratio};

/// Cycles and replays beside those of an application's pool, and locks beside those of the same store without `acks`.
pub(crate) async fn measure(session: &Session) -> Result<Vec<Figure>> {
    let options = Pair::options().remote_apply().config("max_connections = 200");
    let pair = options.config("max_wal_size = '8GB'").start().await;
    let store = |schema: &str| Postgres { node: pair.primary().node(), schema: schema.to_owned(), acks: 1 };
    let plan = Plan {
        workloads: &[Workload::Cycle, Workload::Replay],
        callers: &[64, 512],
        bytes: &[KIB],
        ..session.plan.clone()
    };
    let cycles = session.measure("postgres-standby", &store("idem"), &plan).await?;
    let plan = Plan { workloads: &[Workload::Lock], callers: &[1, 64], ..plan };
    let locks = session.measure("postgres-acks", &Acknowledged(store("acks")), &plan).await?;
    let named = |what: &str, callers| format!("standby, acks = 1: {what}, callers: {callers}");
    let cycle = |callers, bar| {
        let ratio = ratio(&cycles, Workload::Cycle, callers);
        Figure::held(named("cycle against INSERT + UPDATE", callers), ratio, "x", Bar::AtLeast(bar))
    };
    let lock = |callers| {
        Figure::reported(named("lock against acks = 0", callers), ratio(&locks, Workload::Lock, callers), "x")
    };
    let replays = ratio(&cycles, Workload::Replay, 64);
    let replays = Figure::reported(named("replay against SELECT", 64), replays, "x");
    Ok(vec![cycle(64, 1.8), cycle(512, 2.5), replays, lock(1), lock(64)])
}

/// The store that looks behind each commit, beside the one that does not.
struct Acknowledged(Postgres);

impl Backend for Acknowledged {
    type Raw = WithoutAcks;
    const IN_MEMORY: bool = false;

    async fn store(&self, directory: &Path) -> Result<Arc<dyn Store>> {
        self.0.store(directory).await
    }

    async fn baselines(&self, _directory: &Path, _workload: Workload) -> Result<Vec<Baseline<WithoutAcks>>> {
        let without = Postgres { node: self.0.node, schema: "without_acks".to_owned(), acks: 0 };
        let store: Arc<dyn Store> = Arc::new(without.open().await?);
        Ok(vec![Baseline { name: "the same store with acks = 0", raw: WithoutAcks(store) }])
    }
}
