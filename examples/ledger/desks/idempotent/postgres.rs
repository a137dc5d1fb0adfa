//! In PostgreSQL: the application begins and writes its transaction, and the store completes the key in it.

use idem_core::{Lease, Outcome, Registry};
use idem_postgres::{PostgresStore, PostgresStoreExt as _};
use sqlx::PgPool;

use super::{BooksAndStore, Idempotent, Unbooked, committed};
use crate::Result;
use crate::books::postgres::{Run, book};
use crate::request::Request;

#[derive(Clone)]
pub(crate) struct OneDatabase {
    store: PostgresStore,
    pool: PgPool,
}

pub(crate) async fn open(run: &Run) -> Result<Idempotent<OneDatabase>> {
    let store = Registry::new().with(idem_postgres::DRIVER).open(&run.uri_of_store()).await?;
    let store = store.as_postgres().ok_or("no store on PostgreSQL")?.clone();
    Ok(Idempotent::new(OneDatabase { store, pool: run.pool()? }))
}

impl BooksAndStore for OneDatabase {
    type Store = PostgresStore;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn book(
        &self,
        lease: &Lease,
        request: Request,
        booking: u64,
        receipt: Outcome,
    ) -> Result<(), Unbooked> {
        let mut transaction = self.pool.begin().await?;
        book(&mut transaction, &request, booking).await?;
        committed(self.store.complete_and_commit(transaction, lease, receipt).await?)
    }

    async fn close(self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}

/// Before the commit was sent, so nothing is booked.
impl From<sqlx::Error> for Unbooked {
    fn from(error: sqlx::Error) -> Self {
        let passes = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            // The connection is ended, other transactions are in the way, an operator ended this one.
            sqlx::Error::Database(refused) => {
                let state = refused.code().unwrap_or_default();
                ["08", "40", "57"].iter().any(|class| state.starts_with(class))
            }
            _ => false,
        };
        if passes { Self::AskAgain(error.to_string()) } else { Self::Failed(error.into()) }
    }
}
