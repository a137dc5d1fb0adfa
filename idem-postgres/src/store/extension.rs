//! Finding this store behind any.

use idem_core::Store;

use super::PostgresStore;

/// Finds the [`PostgresStore`] behind any store, `Arc<dyn Store>` included.
pub trait PostgresStoreExt: Store {
    /// This store as a PostgreSQL store. `None` when it is another kind of store.
    ///
    /// ```
    /// use idem_core::{Error, Lease, Outcome, Store, Transacted};
    /// use idem_postgres::PostgresStoreExt;
    /// use tokio_postgres::Transaction;
    ///
    /// async fn complete(
    ///     store: &dyn Store,
    ///     transaction: Transaction<'_>,
    ///     lease: &Lease,
    /// ) -> Option<idem_core::Result<Transacted<Error>>> {
    ///     let store = store.as_postgres()?;
    ///     Some(store.complete_and_commit(transaction, lease, Outcome::Value("paid".into())).await)
    /// }
    /// ```
    fn as_postgres(&self) -> Option<&PostgresStore> {
        self.as_any().downcast_ref()
    }
}

impl<S: Store + ?Sized> PostgresStoreExt for S {}
