//! The application's own table.

use std::time::Duration;

use idem_core::{Lease, LockAnswer};
use idem_postgres::{PostgresConfig, PostgresStore, Transaction};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::support::{claim, config, connect, fingerprint, key, open};

/// A store, a connection of the application, and a table that nobody else uses.
pub(crate) struct Books {
    pub(crate) config: PostgresConfig,
    pub(crate) store: PostgresStore,
    pub(crate) client: Client,
}

impl Books {
    pub(crate) async fn open() -> Self {
        Self::of(config().await).await
    }

    pub(crate) async fn of(config: PostgresConfig) -> Self {
        let store = open(&config).await;
        let client = connect(&config).await;
        let books = Self { config, store, client };
        books.client.batch_execute(&format!("CREATE TABLE {} (cents bigint)", books.table())).await.unwrap();
        books
    }

    pub(crate) fn table(&self) -> String {
        format!("books_of_{}", self.config.schema)
    }

    /// Books one payment.
    pub(crate) fn payment(&self) -> String {
        format!("INSERT INTO {} VALUES (1250)", self.table())
    }

    /// The same store, which gives up soon: it is asked about transactions that are open.
    pub(crate) async fn impatient(&self) -> PostgresStore {
        let mut config = self.config.clone();
        config.call_timeout = Duration::from_millis(700);
        open(&config).await
    }

    /// Payments that are committed.
    pub(crate) async fn count(&self) -> i64 {
        let count = format!("SELECT count(*) FROM {}", self.table());
        connect(&self.config).await.query_one(&count, &[]).await.unwrap().get(0)
    }
}

/// Until a statement about this store waits for somebody's lock.
pub(crate) async fn until_one_waits(config: &PostgresConfig) {
    let client = connect(config).await;
    let waits = format!(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{}%'",
        config.schema
    );
    while client.query(&waits, &[]).await.unwrap().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Locks the key `order` in this transaction.
pub(crate) async fn lock_in<T: Transaction>(store: &PostgresStore, transaction: &mut T) -> Lease {
    match store.lock_in(transaction, &key("order"), &fingerprint(), &claim()).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{other:?}"),
    }
}
