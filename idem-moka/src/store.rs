//! The store: checks, tells leases, wakes those who wait. What happens to a record is in `records.rs`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::backend::LeaseControl;
use idem_core::decide::Call;
use idem_core::{
    Capabilities, Checkpoint, Claim, Completion, Expired, Fenced, Fingerprint, Key, Lease, LockOutcome,
    Outcome, Record, Result, Sent, SharedClock, Store, StoreClock, SystemClock, Waiters,
};

use crate::evict::NoneCompleted;
use crate::hash::HashedKey;
use crate::records::{Done, Records};
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
    /// [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig) for a zero, a mistaken unit, or settings that
    /// contradict one another,
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
        let clock = StoreClock::start(clock);
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

    fn call(&self, key: &HashedKey, call: Call, sent: &Sent, seen: NoneCompleted) -> Result<Done> {
        let operation = call.operation();
        let records = &self.0.records;
        records.call(key, call, records.clock.when(sent), seen).map_err(|bound| {
            records.usage.refused();
            let error = bound.refuse(operation, &self.0.config);
            tracing::debug!(key = %key.key(), %error, "refused");
            error
        })
    }

    /// A call of a holder.
    fn fenced(&self, lease: &Lease, call: Call) -> Result<Fenced> {
        let operation = call.operation();
        call.check(self.0.config.max_outcome)?;
        let key = self.0.records.hashed(lease.key());
        let sent = self.0.records.sent(&key);
        let told = without_bytes(&call);
        let Done { answer, wrote } = self.call(&key, call, &sent, NoneCompleted::UNKNOWN)?;
        let fenced = answer.into_fenced()?;
        tracing::trace!(key = %lease.key(), %operation, ?fenced);
        lease.answered(&told, fenced, wrote, &sent);
        if wrote && matches!(told, Call::Complete { .. } | Call::Release { .. }) {
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
}

#[async_trait]
impl Store for MokaStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockOutcome> {
        // The sequence is set where the call is carried out.
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        call.check(self.0.config.max_outcome)?;
        let hashed = self.0.records.hashed(key);
        let sent = self.0.records.sent(&hashed);
        let seen = match self.0.records.replay(&hashed, &call, self.0.records.clock.when(&sent)) {
            Ok(answer) => return answer.into_lock_outcome(*key, *fingerprint, claim, &sent),
            Err(none_completed) => none_completed,
        };
        self.call(&hashed, call, &sent, seen)?.answer.into_lock_outcome(*key, *fingerprint, claim, &sent)
    }

    fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Completion> {
        self.0.records.peek(&self.0.records.hashed(key), fingerprint)
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Fenced> {
        self.fenced(lease, Call::Renew { token: lease.token(), duration })
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Fenced> {
        let checkpoint = Checkpoint::new(step, progress);
        self.fenced(lease, Call::Checkpoint { token: lease.token(), checkpoint, duration })
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Fenced> {
        self.fenced(lease, Call::Complete { token: lease.token(), outcome, retention })
    }

    async fn release(&self, lease: &Lease) -> Result<Fenced> {
        self.fenced(lease, Call::Release { token: lease.token() })
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
        let (call, sent) = (Call::Remove { force }, self.0.records.sent(&hashed));
        let removed = self.call(&hashed, call, &sent, NoneCompleted::UNKNOWN)?.answer.into_removed()?;
        if removed {
            tracing::debug!(%key, force, "removed");
            self.wake(key);
        }
        Ok(removed)
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        Ok(self.0.records.expire(budget).await)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_bounded().with_strict_sequence().with_notifies()
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

impl fmt::Debug for MokaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaStore")
            .field("config", &self.0.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What the lease is told of a call: its kind and its times. A copy of the bytes would be counted and dropped.
fn without_bytes(call: &Call) -> Call {
    match call {
        Call::Complete { token, retention, .. } => {
            Call::Complete { token: *token, outcome: Outcome::Value(Bytes::new()), retention: *retention }
        }
        Call::Checkpoint { token, checkpoint, duration } => Call::Checkpoint {
            token: *token,
            checkpoint: Checkpoint::new(checkpoint.step, Bytes::new()),
            duration: *duration,
        },
        call => call.clone(),
    }
}
