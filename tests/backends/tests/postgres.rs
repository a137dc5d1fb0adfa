//! Runs the kit on idem-postgres, on each version of the server, and behind a pooler.
//!
//! All tests of a run share their servers; each case has a schema of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::{Key, Owner, Store};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Node, ServerKind, shared_lone_of, shared_pooled};

conformance!(postgres_15_lone, || PostgresHarness::lone(ServerKind::Postgres15), lacks: [ManualClock]);
conformance!(postgres_18_lone, || PostgresHarness::lone(ServerKind::Postgres18), lacks: [ManualClock]);
conformance!(postgres_pooled, PostgresHarness::pooled, lacks: [ManualClock, Notifies]);

struct PostgresHarness {
    server: Node,
    config: PostgresConfig,
    store: PostgresStore,
}

impl PostgresHarness {
    async fn lone(kind: ServerKind) -> Self {
        Self::on(shared_lone_of(kind).await).await
    }

    async fn pooled() -> Self {
        Self::on(shared_pooled().await).await
    }

    async fn on(server: Node) -> Self {
        let mut config = PostgresConfig::new([server.addr().to_string().parse().unwrap()], "postgres");
        config.schema = format!("case_{:032x}", u128::from_be_bytes(*Owner::random().unwrap().as_bytes()));
        config.max_outcome = LARGEST_OUTCOME as u64;
        config.sweep = false;
        let store = PostgresStore::open(config.clone()).await.unwrap();
        Self { server, config, store }
    }
}

#[async_trait]
impl Harness for PostgresHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn time(&self) -> Time {
        // The first call of each kind on a connection takes some milliseconds more.
        Time::Real { tick: Duration::from_millis(100) }
    }

    async fn reopen(&mut self) -> Result<(), Unsupported> {
        self.store = PostgresStore::open(self.config.clone()).await.unwrap();
        Ok(())
    }

    async fn another(&mut self) -> Result<Arc<dyn Store>, Unsupported> {
        Ok(Arc::new(PostgresStore::open(self.config.clone()).await.unwrap()))
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
