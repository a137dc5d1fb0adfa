//! What a store holds.

use idem_core::Result;
use redb::{ReadTransaction, ReadableTableMetadata};

use crate::error::Failure;
use crate::lock_expiry::count_locks;
use crate::schema::{LOCKS, OUTCOMES};
use crate::store::RedbStore;

/// What a [`RedbStore`] holds, as of its last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedbStats {
    /// Keys that are locked, or were left unfinished, including those that have expired and are not removed yet.
    pub unfinished: u64,
    /// Keys that are completed, including those that have expired and are not removed yet.
    pub completed: u64,
}

impl RedbStore {
    /// What the store holds. Costs the same however much that is.
    ///
    /// # Errors
    /// Those of [`get`](idem_core::Store::get). It waits, as that does, while the database is being opened anew.
    ///
    /// # Cancel safety
    /// Safe: reads only.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let store = idem_redb::RedbStore::open(folder.path().join("payments.idem")).await?;
    /// assert_eq!(store.stats().await?.completed, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stats(&self) -> Result<RedbStats> {
        self.0.stats().await
    }
}

pub(crate) fn count(txn: &ReadTransaction) -> Result<RedbStats, Failure> {
    let unfinished = count_locks(&txn.open_table(LOCKS)?)?;
    Ok(RedbStats { unfinished, completed: txn.open_table(OUTCOMES)?.len()? })
}
