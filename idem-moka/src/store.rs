//! The store: checks, tells leases, wakes those who wait. What happens to a record is in `records.rs`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::decide::{Answer, Call};
use idem_core::{
    Capabilities, Checkpoint, Claim, Error, ErrorKind, Expired, Fenced, Fingerprint, Key, Lease, LockOutcome,
    LostReason, Operation, Outcome, Record, Result, Sent, SharedClock, Store, StoreClock, SystemClock,
    Timestamp, Waiters,
};

use crate::hash::HashedKey;
use crate::records::{Done, NoneCompleted, Records};
use crate::{MokaConfig, MokaStats};

/// A bounded store in the memory of this process. Clones are the same store.
///
/// See the [crate's documentation](crate) for what bounds it and what it may drop.
#[derive(Clone)]
pub struct MokaStore(Arc<Inner>);

struct Inner {
    config: MokaConfig,
    records: Records,
    waiters: Waiters,
    /// How many wait. To look for them costs a completion more than it costs the shard to be changed.
    waiting: AtomicUsize,
}

impl MokaStore {
    /// An empty store.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a zero, a mistaken unit, or settings that contradict one another,
    /// naming the option.
    pub fn new(config: MokaConfig) -> Result<Self> {
        Self::with_clock(config, SystemClock::shared())
    }

    /// An empty store whose time is `clock`'s, for tests.
    ///
    /// # Errors
    /// Those of [`new`](MokaStore::new).
    pub fn with_clock(config: MokaConfig, clock: SharedClock) -> Result<Self> {
        config.check()?;
        let clock = StoreClock::start(clock, Timestamp::default());
        let records = Records::new(&config, clock);
        Ok(Self(Arc::new(Inner { config, records, waiters: Waiters::new(), waiting: AtomicUsize::new(0) })))
    }

    /// What it holds, and what it has refused and evicted.
    #[must_use]
    pub fn stats(&self) -> MokaStats {
        self.0.records.stats()
    }

    #[cfg(test)]
    pub(crate) fn records(&self) -> &Records {
        &self.0.records
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    fn sent(&self) -> Sent {
        Sent::now(self.0.records.clock.source())
    }

    fn call(&self, key: &HashedKey, call: Call, seen: NoneCompleted) -> Result<Done> {
        let operation = call.operation();
        self.0.records.call(key, call, seen).map_err(|bound| {
            self.0.records.usage.refused();
            let error = bound.refuse(operation);
            tracing::debug!(key = %key.key(), %error, "refused");
            error
        })
    }

    /// A call of a holder, and whether it wrote.
    fn fenced(&self, lease: &Lease, call: Call) -> Result<(Fenced, bool)> {
        let operation = call.operation();
        call.check(self.0.config.max_outcome)?;
        let key = self.0.records.hashed(lease.key());
        let Done { answer, wrote } = self.call(&key, call, NoneCompleted::UNKNOWN)?;
        let Answer::Fenced(fenced) = answer else { return Err(mistaken(operation, &answer)) };
        tracing::trace!(key = %lease.key(), %operation, ?fenced);
        if fenced == Fenced::Lost(LostReason::Completed) {
            lease.completed();
        }
        Ok((fenced, wrote))
    }

    /// A call that may have ended the lease.
    fn ending(&self, lease: &Lease, call: Call) -> Result<Fenced> {
        let (fenced, wrote) = self.fenced(lease, call)?;
        if wrote {
            self.wake(lease.key());
        }
        Ok(fenced)
    }

    /// Wakes those who wait for `key`, after a change to its record.
    ///
    /// No waiter is missed: it counts itself before it looks at the record, under the same shard's lock as the
    /// change. If it looked before the change, its count is seen here; if after, it sees the change.
    fn wake(&self, key: &Key) {
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            self.0.waiters.wake(key);
        }
    }

    /// A call that may have made the lease longer. One that wrote nothing, a checkpoint overtaken by a later
    /// one, did not: its holder must not believe in the lease for longer than the store does.
    fn renewing(&self, lease: &Lease, call: Call, duration: Duration) -> Result<Fenced> {
        let sent = self.sent();
        let (fenced, wrote) = self.fenced(lease, call)?;
        if wrote {
            lease.renewed(&sent, duration);
        }
        Ok(fenced)
    }
}

#[async_trait]
impl Store for MokaStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockOutcome> {
        // The sequence is set where the call is carried out.
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        call.check(self.0.config.max_outcome)?;
        let hashed = self.0.records.hashed(key);
        let seen = match self.0.records.replay(&hashed, &call) {
            Ok(answer) => return not_acquired(answer),
            Err(none_completed) => none_completed,
        };
        let sent = self.sent();
        match self.call(&hashed, call, seen)?.answer {
            Answer::Acquired(grant) => {
                tracing::trace!(%key, attempt = grant.attempt, "acquired");
                Ok(LockOutcome::Acquired(Lease::granted(*key, *fingerprint, claim, grant, &sent)))
            }
            answer => not_acquired(answer),
        }
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Fenced> {
        self.renewing(lease, Call::Renew { token: lease.token(), duration }, duration)
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Fenced> {
        let checkpoint = Checkpoint::new(step, progress);
        self.renewing(lease, Call::Checkpoint { token: lease.token(), checkpoint, duration }, duration)
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Fenced> {
        let fenced = self.ending(lease, Call::Complete { token: lease.token(), outcome, retention })?;
        if fenced == Fenced::Applied {
            lease.completed();
        }
        Ok(fenced)
    }

    async fn release(&self, lease: &Lease) -> Result<Fenced> {
        self.ending(lease, Call::Release { token: lease.token() })
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        Ok(self.0.records.get(&self.0.records.hashed(key)))
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let _counted = Counted::new(&self.0.waiting);
        self.0.waiters.settled(self, key, timeout).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        let hashed = self.0.records.hashed(key);
        match self.call(&hashed, Call::Remove { force }, NoneCompleted::UNKNOWN)?.answer {
            Answer::Removed(removed) => {
                if removed {
                    tracing::debug!(%key, force, "removed");
                    self.wake(key);
                }
                Ok(removed)
            }
            answer => Err(mistaken(Operation::Remove, &answer)),
        }
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        Ok(self.0.records.expire(budget).await)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.bounded = true;
        capabilities.strict_sequence = true;
        capabilities.notifies = true;
        capabilities
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Counts for as long as it lives, also in a future that is dropped halfway.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn not_acquired(answer: Answer) -> Result<LockOutcome> {
    match answer {
        Answer::InProgress(remaining) => Ok(LockOutcome::InProgress { remaining }),
        Answer::Completed(completion) => Ok(LockOutcome::Completed(completion)),
        Answer::FingerprintMismatch => Ok(LockOutcome::FingerprintMismatch),
        answer => Err(mistaken(Operation::Lock, &answer)),
    }
}

/// An answer to another call than was made: `decide` and this file have come apart.
fn mistaken(operation: Operation, answer: &Answer) -> Error {
    Error::new(ErrorKind::Unavailable, operation, format!("the call was answered with {answer:?}"))
}

impl fmt::Debug for MokaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaStore")
            .field("config", &self.0.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
