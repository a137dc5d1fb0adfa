//! A completion that becomes final by the application's commit.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Call, LeaseControl as _, Sent};
use idem_core::{Claim, Effect, Lease, LockAnswer, LostReason, Outcome, Result, Store as _, Transacted};

use crate::store::PostgresStore;

/// A key that is completed as soon as the transaction is committed, and not at all when it is rolled back.
///
/// Until then nobody else sees it completed, and nobody can take over its lease: whoever tries waits for the
/// transaction. After a commit behind a savepoint the same holds for the transaction around it.
#[derive(Debug)]
#[must_use = "the key is completed only once the transaction is committed; say so by `committed`"]
pub struct Provisional {
    pub(super) store: PostgresStore,
    pub(super) lease: Lease,
    pub(super) sent: Sent,
}

impl Provisional {
    /// The transaction was committed: from now on the lease shows that the key is completed, so that
    /// [`execute`](idem_core::StoreExt::execute) and the HTTP layer take the answer from the record.
    ///
    /// When the commit answered an error, ask with [`find_out`](Self::find_out) instead.
    pub fn committed(self) {
        self.answered(Effect::Applied, true);
    }

    /// Asks the store how the transaction ended, after a commit whose answer was lost or an error.
    ///
    /// While the transaction is open its row cannot be had, so an answer is final: `Applied`, the transaction is committed;
    /// `RolledBack`, it is not, and the lease is still held; `Lost`, it is not, and the lease is lost.
    ///
    /// # Errors
    /// [`Timeout`](idem_core::ErrorKind::Timeout) and [`Unavailable`](idem_core::ErrorKind::Unavailable): it is still unknown. The transaction
    /// may be open, or its commit may wait for a standby. Never run the work again then: ask again with the same key.
    ///
    /// # Cancel safety
    /// Dropped, the transaction is as it was.
    pub async fn find_out(&self) -> Result<Transacted<()>> {
        // The shortest renewal: it changes next to nothing, and waits for the transaction, and for what its commit waits for.
        match self.store.renew(&self.lease, Duration::from_millis(1)).await? {
            Effect::Applied => Ok(Transacted::RolledBack(())),
            Effect::Lost(LostReason::Completed) => Ok(Transacted::Applied),
            Effect::Lost(LostReason::Gone) => self.find_out_by_locking().await,
            Effect::Lost(reason) => Ok(Transacted::Lost(reason)),
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

    /// A record that the transaction itself has made is not seen until it is committed. But its key cannot be locked.
    async fn find_out_by_locking(&self) -> Result<Transacted<()>> {
        let (lease, token) = (&self.lease, self.lease.token());
        let claim = Claim {
            owner: token.owner,
            lease: Duration::from_secs(1),
            retention: lease.retention().max(Duration::from_secs(1)),
        };
        match self.store.lock(lease.key(), lease.fingerprint(), &claim).await? {
            LockAnswer::Completed(replay) if replay.token == token => {
                self.answered(Effect::Applied, true);
                Ok(Transacted::Applied)
            }
            LockAnswer::Acquired(vain) => {
                // Otherwise the key would be held for a second.
                let released = self.store.release(&vain).await;
                tracing::debug!(key = %lease.key(), ?released, "a transaction was rolled back with its lock");
                Ok(Transacted::Lost(LostReason::Gone))
            }
            LockAnswer::Completed(_) | LockAnswer::InProgress { .. } | LockAnswer::FingerprintMismatch => {
                Ok(Transacted::Lost(LostReason::Superseded))
            }
        }
    }
}
