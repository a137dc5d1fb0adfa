//! A store on the application's pool beside one with connections of its own.

use std::path::Path;
use std::sync::Arc;

use idem_benches::{Backend, Baseline, Figure, Plan, Result, Session, WithoutAcks, Workload};
use idem_core::Store;
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::Node;

use crate::bare::Pool;
use crate::{KIB, Postgres, ratio};

pub(crate) async fn measure(postgres: &Postgres, session: &Session) -> Result<Vec<Figure>> {
    let workloads = &[Workload::Lock, Workload::Cycle, Workload::Replay];
    let plan = Plan { workloads, callers: &[1, 64], bytes: &[KIB], ..session.plan.clone() };
    let mut figures = Vec::new();
    for library in ["deadpool", "sqlx"] {
        let store = OnPool { node: postgres.node, library };
        let rows = session.measure(&format!("postgres-on-{library}"), &store, &plan).await?;
        for workload in workloads {
            for callers in plan.callers {
                let what = format!(
                    "on a pool of {library}: {workload:?} against own connections, callers: {callers}"
                );
                figures.push(Figure::reported(what, ratio(&rows, *workload, *callers), "x"));
            }
        }
    }
    Ok(figures)
}

struct OnPool {
    node: Node,
    library: &'static str,
}

impl Backend for OnPool {
    type Raw = WithoutAcks;
    const IN_MEMORY: bool = false;

    async fn store(&self, _directory: &Path) -> Result<Arc<dyn Store>> {
        let mut config = PostgresConfig::for_pool();
        config.schema = format!("on_{}", self.library);
        self.node.sql(&format!("DROP SCHEMA IF EXISTS {} CASCADE", config.schema)).await;
        let pool = match self.library {
            "deadpool" => Pool::deadpool(&self.node)?,
            _ => Pool::sqlx(&self.node).await?,
        };
        Ok(Arc::new(match pool {
            Pool::Deadpool(pool) => PostgresStore::with_pool(pool, config).await?,
            Pool::Sqlx(pool) => PostgresStore::with_pool(pool, config).await?,
        }))
    }

    async fn baselines(&self, _directory: &Path, _workload: Workload) -> Result<Vec<Baseline<WithoutAcks>>> {
        let own = Postgres { node: self.node, schema: format!("beside_{}", self.library), acks: 0 };
        let store: Arc<dyn Store> = Arc::new(own.open().await?);
        Ok(vec![Baseline { name: "the same store with connections of its own", raw: WithoutAcks(store) }])
    }
}
