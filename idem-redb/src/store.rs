//! The store's public interface.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use idem_core::backend::{Applied, Call, Sent, Transition, store_from_transition};
use idem_core::error::Operation;
use idem_core::record::{Record, Replay};
use idem_core::scan::{Cursor, Page, Scan};
use idem_core::{Capabilities, Expired, Fingerprint, Key, Result};
use redb::Database;
use tokio::sync::oneshot;

use crate::handle::calls::Handle;
use crate::stats::RedbStats;
use crate::storage::tables::snapshot::Snapshot;
use crate::sweep::expire;
use crate::writer::queue::message::Message;

/// Idempotency keys in one redb file: embedded and durable.
///
/// What is acknowledged is on disk. Concurrent calls share a commit; reads run on the caller's thread while their
/// pages are cached. Only one process can have the file open. Needs a tokio runtime with its timer enabled.
///
/// Clones are the same store. Once the last clone is dropped, the file is closed in the background; to wait for that,
/// [`close`](RedbStore::close) the store.
///
/// # An application's own write transactions
/// redb has one writer. On a database that is shared with the store, an application that awaits the store
/// inside its own open write transaction waits for itself: the call ends in
/// [`Timeout`](idem_core::ErrorKind::Timeout) after [`call_timeout`](crate::RedbConfig::call_timeout). Commit or drop the
/// transaction first, or write inside [`complete_with`](RedbStore::complete_with).
///
/// ```
/// use std::time::Duration;
/// use idem_core::{Execution, Fingerprint, Key, Policy, Scope, StoreExt};
/// use idem_redb::RedbStore;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("payments.idem");
/// let store = RedbStore::open(path).await?;
/// let key = Key::new(&Scope::new("tenant-7")?, "order-1")?;
/// let fingerprint = Fingerprint::builder("orders v1").part("3 apples").finish();
/// let policy = Policy::new(Duration::from_secs(30), Duration::from_secs(24 * 3600));
/// for _retry in 0..2 {
///     let answer = store.execute(&key, &fingerprint, &policy, |_lease| async {
///         Ok::<_, std::io::Error>("3 apples for 2.40".to_owned())
///     });
///     assert_eq!(answer.await?.into_value().as_deref(), Some("3 apples for 2.40"));
/// }
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedbStore(pub(crate) Arc<Handle>);

impl RedbStore {
    /// The application's database that the store uses now, shared by [`with_database`](Self::with_database) or
    /// [`RedbBuilder::with_database_from`](crate::RedbBuilder::with_database_from). Waits while the database is being
    /// reopened, within [`call_timeout`](crate::RedbConfig::call_timeout).
    ///
    /// Ask for it each time and drop it after use: a database that is kept keeps its file open, and then the store
    /// cannot reopen it after an I/O error.
    ///
    /// # Errors
    /// - [`InvalidArgument`](idem_core::ErrorKind::InvalidArgument) when the store opened its database itself: nobody
    ///   else may write to that.
    /// - [`Unavailable`](idem_core::ErrorKind::Unavailable) when the database was closed after an I/O error and is not
    ///   open again within `call_timeout`.
    ///
    /// # Cancel safety
    /// Safe: changes nothing.
    pub async fn database(&self) -> Result<Arc<Database>> {
        self.0.shared_database().await
    }

    /// Supplies a shared database again, after an I/O error made redb refuse the one before. It must be the same
    /// database, with the store's tables in it.
    ///
    /// # Errors
    /// - [`InvalidArgument`](idem_core::ErrorKind::InvalidArgument) when the store opened its database itself.
    /// - [`Corrupt`](idem_core::ErrorKind::Corrupt) when the store's tables are not in it, or are damaged;
    ///   [`Incompatible`](idem_core::ErrorKind::Incompatible) when they are newer than this code.
    /// - [`Timeout`](idem_core::ErrorKind::Timeout) when a write transaction on it does not end within
    ///   [`call_timeout`](crate::RedbConfig::call_timeout).
    ///
    /// After each of these errors the store is as it was.
    ///
    /// # Cancel safety
    /// The database may be in use afterwards or not. Call it again.
    pub async fn replace_database(&self, database: Arc<Database>) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.0.ask(Operation::Maintain, Message::Replace(database, reply), answer).await
    }

    /// How much the store holds. The cost does not depend on the number of records.
    ///
    /// # Errors
    /// Those of [`get`](idem_core::Store::get). Waits, as `get` does, while the database is being reopened.
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

    /// Returns the file's free pages to the file system. False when there were none.
    ///
    /// Takes the time to move the pages that are in use, about four seconds for 50,000 records of 1 KiB. Every call waits
    /// meanwhile, within [`call_timeout`](crate::RedbConfig::call_timeout): reads end in
    /// [`Unavailable`](idem_core::ErrorKind::Unavailable) then, and writes in [`Timeout`](idem_core::ErrorKind::Timeout).
    ///
    /// A file of the store's own is compacted without being asked, when its records take 64 MiB at most and a quarter
    /// of the file at most: once nothing was written for a second, or else after ten minutes. Not while the application
    /// has tables of its own in it.
    ///
    /// # Errors
    /// - [`InvalidArgument`](idem_core::ErrorKind::InvalidArgument) when the database is the application's own.
    /// - [`Timeout`](idem_core::ErrorKind::Timeout) when it takes longer than `call_timeout`; the compaction continues.
    /// - [`Unavailable`](idem_core::ErrorKind::Unavailable) while the database is closed after an I/O error and
    ///   not yet reopened.
    ///
    /// # Cancel safety
    /// The compaction continues.
    pub async fn compact(&self) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        self.0.ask(Operation::Maintain, Message::Compact(reply), answer).await
    }

    /// Carries out the calls that were made before, closes the file, and makes every later call end in
    /// [`Closed`](idem_core::ErrorKind::Closed). A second `close` changes nothing and ends as the first did.
    ///
    /// Await running calls of [`execute`](idem_core::StoreExt::execute) first: work that is running cannot be completed
    /// any more, and runs again once its lease is over.
    ///
    /// # Errors
    /// - Those of the last commit that closing makes, such as [`Full`](idem_core::ErrorKind::Full). Nothing that was
    ///   acknowledged is lost by that, and the file is closed.
    /// - [`Timeout`](idem_core::ErrorKind::Timeout) when it takes longer than
    ///   [`call_timeout`](crate::RedbConfig::call_timeout); closing continues.
    ///
    /// # Cancel safety
    /// The store closes nevertheless.
    pub async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

impl Transition for RedbStore {
    async fn apply(&self, key: &Key, call: Call, sent: &Sent) -> Result<Applied> {
        match call {
            Call::Lock { .. } => self.0.lock(key, call, sent).await,
            call => self.0.call(key, call).await,
        }
    }

    fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
        self.0.peek(key, fingerprint)
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.0.read(key, Operation::Get, &self.0.sent(), Snapshot::read).await
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        // The writer wakes waiters once it has committed.
        self.0.state.waiters.settled(self, key, timeout).await
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        expire::expire(&self.0, budget).await
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        self.0.scan(scan, after).await
    }

    fn sent(&self, _key: &Key) -> Sent {
        self.0.sent()
    }

    fn max_outcome(&self) -> u64 {
        self.0.state.config.max_outcome
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
            .with_durable()
            .with_strict_sequence()
            .with_notifies()
            .with_scans()
            .with_call_timeout(self.0.state.config.call_timeout)
    }
}

store_from_transition!(RedbStore);

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.0.state.config.path).finish_non_exhaustive()
    }
}
