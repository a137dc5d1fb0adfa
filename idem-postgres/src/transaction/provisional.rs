//! A completion that becomes final by the application's commit.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::limits::MIN_DURATION;
use idem_core::backend::{Call, LeaseControl as _, Sent};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::{
    Claim, Effect, Error, ErrorKind, Lease, LockAnswer, LostReason, Outcome, Result, Store as _, Transacted,
};

use crate::store::PostgresStore;

/// A key that is completed as soon as the transaction is committed, and not at all when it is rolled back.
///
/// Until then nobody else sees it completed, and nobody can take over its lease: whoever tries waits for the
/// transaction. In a nested transaction, which is a savepoint, it becomes final by the commit of the outermost one.
#[derive(Debug)]
#[must_use = "the key is completed only once the transaction is committed; say so by `committed`"]
pub struct Provisional {
    pub(super) store: PostgresStore,
    pub(super) lease: Lease,
    pub(super) sent: Sent,
    /// Before the completion was sent, by the clock that stands still while the machine sleeps, and by the wall clock.
    pub(super) begun: (Duration, Timestamp),
}

impl Provisional {
    /// The transaction was committed: from now on the lease shows that the key is completed, so that
    /// [`execute`](idem_core::StoreExt::execute) and the HTTP layer take the answer from the record.
    ///
    /// Only when it was: libraries report success for the `COMMIT` of a failed transaction, although the server rolls it
    /// back. So return every error of a statement behind the completion, or let
    /// [`complete_and_commit`](PostgresStore::complete_and_commit) commit.
    ///
    /// When the commit answered an error, ask with [`find_out`](Self::find_out) instead.
    pub fn committed(self) {
        self.answered(Effect::Applied, true);
    }

    /// Asks the store how the transaction ended, after a commit whose answer was lost or an error.
    ///
    /// While the transaction is open its row is locked, and is waited for. So an answer is final: `Applied`, the transaction is
    /// committed; `RolledBack`, it is not, and the lease is still held; `Lost`, it is not, and the lease is lost, as that of
    /// [`lock_in`](PostgresStore::lock_in) is with its transaction. A record that an operator
    /// [removes](idem_core::Store::remove) between the commit and this call counts as one that was never committed, and so
    /// does a completion behind a savepoint that was rolled back, whatever became of the rest of its transaction.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) and [`Unavailable`](ErrorKind::Unavailable): it is still unknown. The transaction
    /// may be open, or its commit may wait for a standby. Never run the work again then: ask again with the same key. Once
    /// the retention is over the record no longer tells, and nobody else does.
    ///
    /// # Limits
    /// It asks by up to four calls, each of which takes [`call_timeout`](crate::PostgresConfig::call_timeout) at most.
    ///
    /// # Cancel safety
    /// Dropped, the transaction is as it was. Of one that also locked, a lock of 1 ms may be left, by which it was asked,
    /// and its record for the retention.
    ///
    /// # Example
    /// ```
    /// use idem_core::Transacted;
    /// use idem_postgres::Provisional;
    /// use tokio_postgres::Transaction;
    ///
    /// /// Whether it is committed.
    /// async fn commit(transaction: Transaction<'_>, completion: Provisional) -> idem_core::Result<bool> {
    ///     if transaction.commit().await.is_ok() {
    ///         completion.committed();
    ///         return Ok(true);
    ///     }
    ///     Ok(completion.find_out().await? == Transacted::Applied)
    /// }
    /// ```
    pub async fn find_out(&self) -> Result<Transacted<()>> {
        self.ask().await.map_err(still_unknown)
    }

    async fn ask(&self) -> Result<Transacted<()>> {
        // The shortest renewal: it changes next to nothing, and waits for the transaction and for what its commit waits for.
        match self.renew().await? {
            Effect::Applied => Ok(Transacted::RolledBack(())),
            Effect::Lost(LostReason::Completed) => Ok(self.applied()),
            Effect::Lost(LostReason::Gone) => self.find_out_by_locking().await,
            // Others see the record of the attempt before this one, until the transaction that took over is committed.
            Effect::Lost(LostReason::Superseded) if self.sees_an_older_record().await? => {
                self.find_out_by_locking().await
            }
            Effect::Lost(reason) => self.lost(reason),
        }
    }

    /// The key was completed: finds out that the standbys have it, too.
    ///
    /// # Errors
    /// Those of [`find_out`](Self::find_out).
    pub(super) async fn confirm(&self) -> Result<()> {
        // A renewal writes something also where it finds the key completed, and that comes behind the commit.
        match self.renew().await.map_err(still_unknown)? {
            Effect::Lost(LostReason::Completed) => {
                self.answered(Effect::Applied, true);
                Ok(())
            }
            Effect::Applied | Effect::Lost(_) => Err(not_found()),
        }
    }

    /// Tells the lease.
    pub(super) fn answered(&self, effect: Effect, wrote: bool) {
        let lease = &self.lease;
        // The lease has no use for the outcome.
        let outcome = Outcome::Value(Bytes::new());
        let call = Call::Complete { token: lease.token(), outcome, retention: lease.retention() };
        lease.answered(&call, effect, wrote, &self.sent);
    }

    /// It does not tell the lease: what is not seen may yet be committed.
    async fn renew(&self) -> Result<Effect> {
        self.store.renew_silently(&self.lease, MIN_DURATION).await
    }

    async fn sees_an_older_record(&self) -> Result<bool> {
        let record = self.store.get(self.lease.key()).await?;
        Ok(record.is_none_or(|record| record.token.sequence <= self.lease.token().sequence))
    }

    /// A record that the transaction itself has made, or taken over, is not seen until it is committed. But its key cannot
    /// be locked.
    async fn find_out_by_locking(&self) -> Result<Transacted<()>> {
        let (lease, token) = (&self.lease, self.lease.token());
        // So short that a lock whose answer came too late holds up nobody.
        let claim = Claim { owner: token.owner, lease: MIN_DURATION, retention: lease.retention() };
        match self.store.lock(lease.key(), lease.fingerprint(), &claim).await? {
            // It was read, which waits for no standby.
            LockAnswer::Completed(replay) if replay.token == token => match self.renew().await? {
                Effect::Lost(LostReason::Completed) => Ok(self.applied()),
                Effect::Applied | Effect::Lost(_) => Err(not_found()),
            },
            LockAnswer::Acquired(held) if held.token() == token => Ok(Transacted::RolledBack(())),
            LockAnswer::Acquired(vain) => {
                // Otherwise its record would remain.
                let released = self.store.release(&vain).await;
                tracing::debug!(key = %lease.key(), ?released, "a transaction was rolled back with its lock");
                self.lost(LostReason::Gone)
            }
            LockAnswer::Completed(_) | LockAnswer::InProgress { .. } | LockAnswer::FingerprintMismatch => {
                self.lost(LostReason::Superseded)
            }
        }
    }

    fn applied(&self) -> Transacted<()> {
        self.answered(Effect::Applied, true);
        Transacted::Applied
    }

    /// Since the completion was asked for, also where the machine slept meanwhile.
    fn elapsed(&self) -> Duration {
        let ((monotonic, wall), clock) = (self.begun, self.store.clock());
        clock.monotonic().saturating_sub(monotonic).max(clock.wall().since(wall))
    }

    /// The lease is lost, so the transaction is not committed, as long as its outcome would still be kept.
    fn lost(&self, reason: LostReason) -> Result<Transacted<()>> {
        self.answered(Effect::Lost(reason), false);
        if self.elapsed() < self.lease.retention() { Ok(Transacted::Lost(reason)) } else { Err(forgotten()) }
    }
}

/// Whatever the store refuses says nothing about the transaction.
fn still_unknown(error: Error) -> Error {
    if error.kind().is_transient() {
        return error;
    }
    let message = "whether the transaction was committed cannot be found out";
    Error::new(ErrorKind::Unavailable, Operation::Complete, message).with_source(error)
}

/// The completion was there before: another server may have taken over since, or an operator removed the record.
fn not_found() -> Error {
    let message = "the key was completed, and that is not found any more: whether it stands is unknown";
    Error::new(ErrorKind::Unavailable, Operation::Complete, message)
}

fn forgotten() -> Error {
    let message = "the retention is over: if the transaction was committed, its outcome is forgotten, so whether it was is unknown";
    Error::new(ErrorKind::Unavailable, Operation::Complete, message)
}
