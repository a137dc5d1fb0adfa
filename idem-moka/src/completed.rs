//! The completed records: in moka, with an account and an expiry index of our own beside it.

use std::sync::Arc;

use idem_core::{Completed, Fingerprint, Record, State, StoreClock, Timestamp, Token};
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::hash::{BuildAsItIs, Handle, HashedKey};
use crate::held::RECORD_OVERHEAD;
use crate::records::SWEPT_ALONG;
use crate::scope::CountedIn;
use crate::shard::Shards;
use crate::usage::Usage;
use crate::{MokaConfig, WhenFull};

/// A completed record without what only a locked one needs. It stands in the cache by value, with its outcome
/// shared: an `Arc<Record>` took 56 bytes more a record, at the same speed.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    fingerprint: Fingerprint,
    token: Token,
    attempt: u32,
    completed: Completed,
    pub(crate) scope: CountedIn,
}

impl Kept {
    pub(crate) fn new(record: Record, scope: CountedIn) -> Option<Self> {
        let Record { fingerprint, token, attempt, state, as_of: _ } = record;
        match state {
            State::Completed(completed) => Some(Self { fingerprint, token, attempt, completed, scope }),
            State::Locked(_) => None,
        }
    }

    pub(crate) fn record(self, as_of: Timestamp) -> Record {
        let Self { fingerprint, token, attempt, completed, scope: _ } = self;
        Record { fingerprint, token, attempt, state: State::Completed(completed), as_of }
    }

    pub(crate) fn outcome_bytes(&self) -> u64 {
        self.completed.outcome.size() as u64
    }
}

/// The completed records of all shards.
///
/// Whoever changes a key here holds its shard's lock; reading needs none.
pub(crate) struct CompletedRecords {
    cache: Cache<HashedKey, Kept, BuildAsItIs>,
    account: Account,
}

/// What is known about the completed records outside moka.
#[derive(Debug, Clone)]
struct Account {
    shards: Arc<Shards>,
    usage: Arc<Usage>,
    clock: StoreClock,
}

impl CompletedRecords {
    pub(crate) fn new(
        config: &MokaConfig,
        shards: Arc<Shards>,
        usage: Arc<Usage>,
        clock: StoreClock,
    ) -> Self {
        let account = Account { shards, usage, clock };
        let builder = Cache::builder()
            .name("idem")
            .eviction_policy(EvictionPolicy::lru())
            .initial_capacity(initial_capacity(config));
        let builder = match config.when_full {
            // No capacity: moka would evict or reject by itself.
            WhenFull::Refuse => builder,
            WhenFull::Evict => {
                let least = config.least_weight();
                let account = account.clone();
                builder
                    .max_capacity(config.max_bytes)
                    .weigher(move |_, kept: &Kept| {
                        let bytes = RECORD_OVERHEAD + kept.outcome_bytes();
                        u32::try_from(bytes.max(least)).unwrap_or(u32::MAX)
                    })
                    .eviction_listener(move |key: Arc<HashedKey>, kept, cause| {
                        // What we remove ourselves, we account for ourselves.
                        if cause != RemovalCause::Explicit {
                            account.evicted(&key, &kept);
                        }
                    })
            }
        };
        Self { cache: builder.build_with_hasher(BuildAsItIs::default()), account }
    }

    /// The record of `key`, expired or not.
    pub(crate) fn get(&self, key: &HashedKey) -> Option<Kept> {
        self.cache.get(key)
    }

    /// Keeps a record whose bytes are already accounted for, and removes a few that have expired. There is none
    /// of `key` before.
    pub(crate) fn insert(&self, key: HashedKey, kept: Kept, now: Timestamp) {
        let handle = key.handle();
        let shard = self.account.shards.of(handle);
        let mut due = shard.due();
        let expired: [_; SWEPT_ALONG] = std::array::from_fn(|_| due.pop_due(now));
        // Noted before it is there: moka may evict it again before `insert` returns.
        due.insert(kept.completed.expires_at, handle);
        // moka is never called under this lock.
        drop(due);
        self.cache.insert(key, kept);
        shard.completed();
        for handle in expired.into_iter().flatten() {
            if self.remove_expired(handle, now) {
                idem_core::metrics::expired(1);
            }
        }
    }

    pub(crate) fn remove(&self, key: &HashedKey) {
        if let Some(kept) = self.cache.remove(key) {
            self.account.forget(key.handle(), &kept);
        }
    }

    /// Removes the record behind `handle`, which was taken out of the expiry index.
    ///
    /// Of two keys with one hash (one in 2^64 pairs) one may not be found: it is kept until it is asked for. One
    /// that has not expired is never removed in place of the other.
    pub(crate) fn remove_expired(&self, handle: Handle, now: Timestamp) -> bool {
        let found = self.cache.get(&handle);
        if found.is_none_or(|kept| now < kept.completed.expires_at) {
            return false;
        }
        let Some(kept) = self.cache.remove(&handle) else { return false };
        self.account.forget(handle, &kept);
        true
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.settle();
        self.cache.iter().count()
    }

    /// Lets moka do what it has put off: let go of removed records, evict down to its bound.
    pub(crate) fn settle(&self) {
        self.cache.run_pending_tasks();
    }
}

/// Room for the records that a store of this size will probably hold, a little under a power of two, which
/// moka doubles and rounds up: 16 bytes for each of them. Growing to the same size step by step took a tenth of
/// all the time spent on a new key, in pauses.
fn initial_capacity(config: &MokaConfig) -> usize {
    const PROBABLE_BYTES: u64 = 2 * RECORD_OVERHEAD;
    const MOST: u64 = 1 << 18;
    let records = config.max_entries.min(config.max_bytes / PROBABLE_BYTES).min(MOST);
    usize::try_from(records * 15 / 16).unwrap_or(0)
}

impl std::fmt::Debug for CompletedRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompletedRecords").finish_non_exhaustive()
    }
}

impl Account {
    fn evicted(&self, key: &HashedKey, kept: &Kept) {
        self.forget(key.handle(), kept);
        if self.clock.now() < kept.completed.expires_at {
            self.usage.evicted();
            tracing::debug!(key = %key.key(), "a completed record was evicted before it expired");
        }
    }

    fn forget(&self, handle: Handle, kept: &Kept) {
        self.shards.of(handle).due().remove(kept.completed.expires_at, handle);
        self.usage.forget(&kept.scope, kept.outcome_bytes());
    }
}
