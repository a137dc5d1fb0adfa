//! Runs the kit on idem-postgres: on each version of the server, on a primary whose standby must have every commit, behind
//! a pooler, and on pools of applications.
//!
//! All tests of a run share their servers; each case has a schema of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::{Key, Owner, Store};
use idem_postgres::{Pool, PostgresConfig, PostgresStore};
use idem_servers::postgres::{Node, ServerKind, shared_lone, shared_lone_of, shared_pair_of, shared_pooled};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

conformance!(postgres_15_lone, || PostgresHarness::lone(ServerKind::Postgres15), lacks: [ManualClock]);
conformance!(postgres_18_lone, || PostgresHarness::lone(ServerKind::Postgres18), lacks: [ManualClock]);
conformance!(postgres_15_pair, || PostgresHarness::pair(ServerKind::Postgres15), lacks: [ManualClock]);
conformance!(postgres_pooled, PostgresHarness::pooled, lacks: [ManualClock, Notifies]);
conformance!(postgres_on_deadpool, || PostgresHarness::on(deadpool), lacks: [ManualClock, Notifies]);
conformance!(postgres_on_sqlx, || PostgresHarness::on(sqlx), lacks: [ManualClock, Notifies]);

/// Connections of a pool.
const CONNECTIONS: u8 = 8;

struct PostgresHarness {
    server: Node,
    /// None: connections of its own.
    pool: Option<Pool>,
    config: PostgresConfig,
    store: PostgresStore,
}

impl PostgresHarness {
    async fn lone(kind: ServerKind) -> Self {
        Self::open(&[shared_lone_of(kind).await], 0).await
    }

    async fn pooled() -> Self {
        Self::open(&[shared_pooled().await], 0).await
    }

    async fn pair(kind: ServerKind) -> Self {
        Self::open(&shared_pair_of(kind).await, 1).await
    }

    /// On these servers, of which the first is the primary.
    async fn open(servers: &[Node], acks: u8) -> Self {
        let addresses = servers.iter().map(|server| server.addr().to_string().parse().unwrap());
        let mut config = PostgresConfig::new(addresses, "postgres");
        config.acks = acks;
        Self::with(servers[0], None, config).await
    }

    async fn on(pool: impl Fn(Node) -> Pool) -> Self {
        let server = shared_lone().await;
        Self::with(server, Some(pool(server)), PostgresConfig::for_pool()).await
    }

    async fn with(server: Node, pool: Option<Pool>, mut config: PostgresConfig) -> Self {
        config.schema = format!("case_{:032x}", u128::from_be_bytes(*Owner::random().unwrap().as_bytes()));
        config.max_outcome = LARGEST_OUTCOME as u64;
        config.sweep = false;
        let store = open(pool.clone(), config.clone()).await;
        Self { server, pool, config, store }
    }
}

async fn open(pool: Option<Pool>, config: PostgresConfig) -> PostgresStore {
    let opened = match pool {
        Some(pool) => PostgresStore::with_pool(pool, config).await,
        None => PostgresStore::open(config).await,
    };
    opened.unwrap()
}

fn deadpool(server: Node) -> Pool {
    let mut options = tokio_postgres::Config::new();
    let (host, port) = (server.addr().ip().to_string(), server.addr().port());
    options.host(host).port(port).user("postgres").dbname("postgres");
    let manager = deadpool_postgres::Manager::new(options, tokio_postgres::NoTls);
    deadpool_postgres::Pool::builder(manager).max_size(CONNECTIONS.into()).build().unwrap().into()
}

fn sqlx(server: Node) -> Pool {
    let options = PgConnectOptions::new().host(&server.addr().ip().to_string()).port(server.addr().port());
    let options = options.username("postgres").database("postgres");
    PgPoolOptions::new().max_connections(CONNECTIONS.into()).connect_lazy_with(options).into()
}

#[async_trait]
impl Harness for PostgresHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn time(&self) -> Time {
        // The first call of each kind on a connection takes some milliseconds more. A pool has many, in turn.
        Time::Real { tick: Duration::from_millis(if self.pool.is_some() { 200 } else { 100 }) }
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        self.store = open(self.pool.clone(), self.config.clone()).await;
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Ok(Arc::new(open(self.pool.clone(), self.config.clone()).await))
    }

    /// Flips a bit of the record's fingerprint.
    async fn corrupt(&mut self, key: &Key) -> Result<(), Unsupported> {
        let key = key.storage_key().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let flipped = "set_bit(fingerprint, 0, 1 - get_bit(fingerprint, 0))";
        let schema = &self.config.schema;
        let sql =
            format!("UPDATE {schema}.records SET fingerprint = {flipped} WHERE key = '\\x{key}' RETURNING 1");
        assert_eq!(self.server.sql(&sql).await, "1");
        Ok(())
    }
}
