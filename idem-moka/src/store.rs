//! The store: one step for each call, and waking waiters. `records/store_records.rs` changes the records.

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::backend::{Applied, Call, Sent, StoreClock, Transition, Waiters, store_from_transition};
use idem_core::clock::{SharedClock, SystemClock};
use idem_core::record::{Record, Replay};
use idem_core::scan::{Cursor, Page, Scan};
use idem_core::{Capabilities, Expired, Fingerprint, Key, Result};

use crate::accounting::usage::MokaStats;
use crate::config::MokaConfig;
use crate::evict::part::NoneCompleted;
use crate::records::store_records::StoreRecords;

/// A bounded store in the memory of this process. Clones are the same store.
///
/// See the [crate's documentation](crate) for its bounds and what it may drop.
#[derive(Clone)]
pub struct MokaStore(Arc<Inner>);

struct Inner {
    config: MokaConfig,
    records: StoreRecords,
    waiters: Waiters,
    /// How many callers wait. A completion skips the look-up of waiters when there are none, since that costs more than
    /// changing the shard.
    waiting: AtomicUsize,
}

impl MokaStore {
    /// An empty store.
    ///
    /// # Errors
    /// [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig), naming the option, for a zero, a mistaken unit, or
    /// settings that contradict one another.
    pub fn new(config: MokaConfig) -> Result<Self> {
        Self::with_clock(config, SystemClock::shared())
    }

    /// An empty store that follows `clock`, for tests.
    ///
    /// # Errors
    /// Those of [`new`](MokaStore::new).
    pub fn with_clock(config: MokaConfig, clock: SharedClock) -> Result<Self> {
        config.check()?;
        let clock = StoreClock::start(clock);
        let records = StoreRecords::new(&config, clock);
        Ok(Self(Arc::new(Inner { config, records, waiters: Waiters::new(), waiting: AtomicUsize::new(0) })))
    }

    /// What the store holds, and what it has refused and evicted.
    #[must_use]
    pub fn stats(&self) -> MokaStats {
        self.0.records.stats()
    }

    #[cfg(test)]
    pub(crate) fn records(&self) -> &StoreRecords {
        &self.0.records
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    fn step(&self, key: &Key, call: Call, sent: &Sent) -> Result<Applied> {
        let (operation, records) = (call.operation(), &self.0.records);
        let hashed = records.hashed(key);
        let now = records.clock.when(sent);
        let seen = if matches!(call, Call::Lock { .. }) {
            match records.replay(&hashed, &call, now) {
                Ok(answer) => return Ok(Applied { answer, wrote: false }),
                Err(none_completed) => none_completed,
            }
        } else {
            NoneCompleted::UNKNOWN
        };
        records.call(&hashed, call, now, seen).map_err(|bound| {
            records.usage.refused();
            let error = bound.refuse(operation, &self.0.config);
            tracing::debug!(%key, %error, "refused");
            error
        })
    }
}

impl Transition for MokaStore {
    // A ready future: the step does not wait, and this way no copy of the call is held in a future.
    fn apply(&self, key: &Key, call: Call, sent: &Sent) -> impl Future<Output = Result<Applied>> + Send {
        ready(self.step(key, call, sent))
    }

    fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
        self.0.records.peek(&self.0.records.hashed(key), fingerprint)
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        Ok(self.0.records.get(&self.0.records.hashed(key)))
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        let _counted = Counted::new(&self.0.waiting);
        self.0.waiters.settled(self, key, timeout).await
    }

    /// No waiter is missed. It counts itself and then reads the record, under the same shard's lock as the change.
    /// If it read before the change, its count is seen here; if after, it sees the change.
    fn lease_ended(&self, key: &Key) {
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            self.0.waiters.wake(key);
        }
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        Ok(self.0.records.expire(budget).await)
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        self.0.records.scan(scan, after).await
    }

    fn sent(&self, key: &Key) -> Sent {
        self.0.records.sent(key)
    }

    fn max_outcome(&self) -> u64 {
        self.0.config.max_outcome
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_bounded().with_strict_sequence().with_notifies().with_scans()
    }
}

store_from_transition!(MokaStore);

/// Counts a waiter until it is dropped, so also when its future is dropped early.
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
