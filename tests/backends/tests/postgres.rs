//! Runs the kit on idem-postgres. Each case has a schema of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use idem_conformance::{Harness, LARGEST_OUTCOME, Time, Unsupported, conformance};
use idem_core::{Key, Owner, Store};
use idem_postgres::{PostgresConfig, PostgresStore};

conformance!(postgres_15_lone, PostgresHarness::new, lacks: [ManualClock, Notifies]);

struct PostgresHarness {
    config: PostgresConfig,
    store: PostgresStore,
}

impl PostgresHarness {
    async fn new() -> Self {
        let case: String =
            Owner::random().unwrap().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut config = PostgresConfig::new(["127.0.0.1:25432".parse().unwrap()], "postgres");
        config.schema = format!("case_{case}");
        config.max_outcome = LARGEST_OUTCOME as u64;
        config.sweep = false;
        let store = PostgresStore::open(config.clone()).await.unwrap();
        Self { config, store }
    }
}

#[async_trait]
impl Harness for PostgresHarness {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn time(&self) -> Time {
        Time::Real { tick: Duration::from_millis(50) }
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
        let (client, connection) =
            tokio_postgres::connect("host=127.0.0.1 port=25432 user=postgres", tokio_postgres::NoTls)
                .await
                .unwrap();
        tokio::spawn(connection);
        let sql = format!(
            "UPDATE {}.records SET fingerprint = set_bit(fingerprint, 0, 1 - get_bit(fingerprint, 0)) WHERE key = $1",
            self.config.schema
        );
        assert_eq!(client.execute(&sql, &[&&key.storage_key()[..]]).await.unwrap(), 1);
        Ok(())
    }
}
