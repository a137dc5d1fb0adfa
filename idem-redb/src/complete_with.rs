//! The application's own tables and the completion in one commit.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl};
use idem_core::error::Operation;
use idem_core::{Effect, Lease, Outcome, Result, Store, Transacted};
use redb::WriteTransaction;
use tokio::sync::oneshot;

use crate::store::RedbStore;
use crate::writer::queue::message::{Message, QueuedTransaction, TransactionAnswer};

impl RedbStore {
    /// Commits the application's own tables and the completion of `lease` in one transaction. This is the one case in
    /// which *exactly once* is exact.
    ///
    /// `work` writes to the application's tables in the store's database and answers the outcome, which is
    /// kept for the claim's retention. It runs on the writer's thread, alone in its transaction, so it delays
    /// other callers and must not wait for them: keep it short, and never await or block on the store in it.
    ///
    /// # Contract
    /// All or nothing: the transaction is refused as a whole when the lease is lost, and undone as a whole when `work`
    /// answers `Err` or panics, when the outcome is too large, or when the commit fails.
    ///
    /// # A key that was completed before
    /// On a key that this lease has completed before, `work` is not run, and the answer is
    /// [`AlreadyCompleted`](Transacted::AlreadyCompleted). A call that is sent again, because the answer to its first
    /// sending was lost, gets this answer too. Whether the application's writes are there follows from how the lease
    /// was completed: where it is completed by `complete_with` alone, they are, since they were committed with the
    /// completion. Where it may have been completed by [`complete`](idem_core::Store::complete) as well, read the
    /// record: [`get`](idem_core::Store::get) shows the outcome that counts. So complete in the two ways with different
    /// outcomes, or look for the rows in the application's own tables.
    ///
    /// # Rules for the closure
    /// Never leak a table of the transaction (`std::mem::forget`, a global) and never begin another write transaction
    /// in `work`: redb has one write slot, which then stays taken, and every later write ends in `Timeout`.
    ///
    /// Restore no savepoint in it either: that takes back the store's own tables. Under `panic = "abort"` a panic in
    /// `work` ends the process, and is not passed to the caller.
    ///
    /// Inside [`execute`](idem_core::StoreExt::execute), the answer then comes from the record.
    ///
    /// # Errors
    /// Those of [`Store::complete`](idem_core::Store::complete). After [`Timeout`](idem_core::ErrorKind::Timeout) ask
    /// with [`get`](idem_core::Store::get) or [`lock`](idem_core::Store::lock) whether it took effect.
    ///
    /// # Panics
    /// When `work` panics: the panic is passed to the caller, and nothing was written.
    ///
    /// # Cancel safety
    /// Dropped before the writer has begun, `work` is not run; later, it is committed or undone as a whole.
    ///
    /// # Example
    /// ```
    /// use idem_core::{Lease, Outcome};
    /// use idem_redb::bytes::Bytes;
    /// use idem_redb::redb::{self, ReadableTable};
    /// use idem_redb::{RedbStore, Transacted};
    ///
    /// const BALANCES: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("balances");
    ///
    /// async fn credit(store: &RedbStore, lease: &Lease) -> idem_core::Result<Transacted<redb::Error>> {
    ///     store
    ///         .complete_with(lease, |txn| {
    ///             let mut balances = txn.open_table(BALANCES)?;
    ///             let balance = balances.get("alice")?.map_or(0, |balance| balance.value());
    ///             balances.insert("alice", balance + 100)?;
    ///             Ok(Outcome::Value(Bytes::from_static(b"credited")))
    ///         })
    ///         .await
    /// }
    /// ```
    pub async fn complete_with<E, F>(&self, lease: &Lease, work: F) -> Result<Transacted<E>>
    where
        F: FnOnce(&WriteTransaction) -> std::result::Result<Outcome, E> + Send + 'static,
        E: Send + 'static,
    {
        let failed = Arc::new(Mutex::new(None));
        let failure = Arc::clone(&failed);
        let work = move |txn: &WriteTransaction| match work(txn) {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        };
        // The lease has no use for the outcome.
        let call = Call::Complete {
            token: lease.token(),
            outcome: Outcome::Value(Bytes::new()),
            retention: lease.retention(),
        };
        let sent = self.0.sent();
        let (reply, answer) = oneshot::channel();
        let queued = QueuedTransaction {
            key: *lease.key(),
            token: lease.token(),
            retention: lease.retention(),
            work: Box::new(work),
            reply,
        };
        match self.0.ask(Operation::Complete, Message::Transact(Box::new(queued)), answer).await? {
            TransactionAnswer::Applied => {
                lease.answered(&call, Effect::Applied, true, &sent);
                Ok(Transacted::Applied)
            }
            TransactionAnswer::AlreadyCompleted => {
                lease.answered(&call, Effect::Applied, false, &sent);
                Ok(Transacted::AlreadyCompleted)
            }
            TransactionAnswer::Lost(reason) => {
                lease.answered(&call, Effect::Lost(reason), false, &sent);
                Ok(Transacted::Lost(reason))
            }
            TransactionAnswer::Panicked(panic) => std::panic::resume_unwind(panic),
            TransactionAnswer::RolledBack => {
                let error = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                error.map(Transacted::RolledBack).ok_or_else(|| {
                    crate::error::unavailable("the transaction was rolled back", Operation::Complete)
                })
            }
        }
    }
}

/// Finds the [`RedbStore`] behind any store, `Arc<dyn Store>` included.
pub trait RedbStoreExt: Store {
    /// This store as a redb store. `None` when it is another kind of store.
    ///
    /// ```
    /// use idem_core::Store;
    /// use idem_redb::RedbStoreExt;
    ///
    /// async fn close(store: &dyn Store) -> idem_core::Result<()> {
    ///     match store.as_redb() {
    ///         Some(redb) => redb.close().await,
    ///         None => Ok(()),
    ///     }
    /// }
    /// ```
    fn as_redb(&self) -> Option<&RedbStore> {
        self.as_any().downcast_ref()
    }
}

impl<S: Store + ?Sized> RedbStoreExt for S {}
