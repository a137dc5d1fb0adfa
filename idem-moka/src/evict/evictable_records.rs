//! The completed records of a store that evicts: in moka, with separate counts and a separate expiry index.

use std::sync::Arc;

use idem_core::backend::StoreClock;
use idem_core::clock::Timestamp;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::accounting::usage::Usage;
use crate::config::{MokaConfig, RECORD_OVERHEAD};
use crate::evict::completed_record::CompletedRecord;
use crate::evict::part::{NoneCompleted, Parts};
use crate::hash::{BuildPrehashed, HashedKey, KeyHashValue};
use crate::shards::shard::REMOVED_PER_CALL;

/// The completed records of all shards.
///
/// A change of a key here needs its shard's lock; a read needs no lock.
pub(crate) struct EvictableRecords {
    cache: Cache<HashedKey, CompletedRecord, BuildPrehashed>,
    account: Account,
}

/// Counts and expiry index of the records, kept outside of moka.
#[derive(Debug, Clone)]
struct Account {
    parts: Arc<Parts>,
    usage: Arc<Usage>,
    clock: StoreClock,
}

impl EvictableRecords {
    /// There is a part for each shard, so that expired records of a part are removed under the lock of its shard, and a
    /// record that has replaced one meanwhile is not removed in its place.
    pub(crate) fn new(config: &MokaConfig, shards: usize, usage: Arc<Usage>, clock: StoreClock) -> Self {
        let account = Account { parts: Arc::new(Parts::new(shards)), usage, clock };
        let least = config.least_weight();
        let evicting = account.clone();
        let cache = Cache::builder()
            .name("idem")
            .eviction_policy(EvictionPolicy::lru())
            .initial_capacity(initial_capacity(config))
            .max_capacity(config.max_bytes)
            .weigher(move |_, kept: &CompletedRecord| {
                let bytes = RECORD_OVERHEAD + kept.outcome_bytes();
                u32::try_from(bytes.max(least)).unwrap_or(u32::MAX)
            })
            .eviction_listener(move |key: Arc<HashedKey>, kept, cause| {
                // Explicit removals are counted where they are made.
                if cause != RemovalCause::Explicit {
                    evicting.evicted(&key, &kept);
                }
            })
            .build_with_hasher(BuildPrehashed::default());
        Self { cache, account }
    }

    /// The record of `key`, expired or not.
    pub(crate) fn get(&self, key: &HashedKey) -> Option<CompletedRecord> {
        self.cache.get(key)
    }

    /// The record of `key`, or a proof that there was none, valid until the next completion in its part.
    pub(crate) fn find(&self, key: &HashedKey) -> Result<CompletedRecord, NoneCompleted> {
        let part = self.account.parts.of(key.hash_value());
        let seen = part.completions();
        self.cache.get(key).ok_or(seen)
    }

    /// Whether there is still no record. To be called with the lock of the key's shard held.
    pub(crate) fn is_still_none(&self, key: &HashedKey, seen: NoneCompleted) -> bool {
        seen == self.account.parts.of(key.hash_value()).completions()
    }

    /// Inserts a record whose bytes are already counted, and removes a few expired ones. `key` must not have a
    /// record yet.
    pub(crate) fn insert(&self, key: HashedKey, kept: CompletedRecord, now: Timestamp) {
        let hash = key.hash_value();
        let part = self.account.parts.of(hash);
        let mut due = part.due();
        let expired: [_; REMOVED_PER_CALL] = std::array::from_fn(|_| due.pop_due(now));
        // Noted before it is inserted: moka may evict it again before `insert` returns.
        due.insert(kept.completed.expires_at, hash);
        // moka is never called under this lock.
        drop(due);
        self.cache.insert(key, kept);
        part.completed();
        let removed = expired.into_iter().flatten().filter(|hash| self.remove_expired(*hash, now)).count();
        if removed > 0 {
            idem_core::metrics::expired(removed as u64);
        }
    }

    pub(crate) fn remove(&self, key: &HashedKey) {
        if let Some(kept) = self.cache.remove(key) {
            self.account.forget(key.hash_value(), &kept);
        }
    }

    /// Removes at most `budget` expired records of part number `part`; returns how many, and whether more remain. To be
    /// called with the lock of the shard with the same number held.
    pub(crate) fn sweep(&self, part: usize, now: Timestamp, budget: usize) -> (usize, bool) {
        let part = self.account.parts.at(part);
        let mut removed = 0;
        while removed < budget {
            // A statement of its own, so that the lock is released before the call to moka below.
            let due = part.due().pop_due(now);
            let Some(hash) = due else { break };
            removed += usize::from(self.remove_expired(hash, now));
        }
        (removed, part.due().is_due(now))
    }

    /// Records of part number `part` behind the place `after` in its expiry index, from at most `most` places; and the last
    /// of these places, unless there are no more. moka counts this as a use.
    pub(crate) fn behind(
        &self,
        part: usize,
        after: Option<u128>,
        most: usize,
    ) -> (Vec<CompletedRecord>, Option<u128>) {
        // moka is never called under this lock.
        let places: Vec<_> = self.account.parts.at(part).due().behind(after, most).collect();
        let last = places.get(most - 1).map(|(place, _)| *place);
        (places.iter().filter_map(|(_, hash)| self.cache.get(hash)).collect(), last)
    }

    pub(crate) fn parts(&self) -> usize {
        self.account.parts.len()
    }

    /// Removes the record behind `hash`, which was taken out of the expiry index.
    ///
    /// Of two keys with the same hash (one in 2^64 pairs) one may not be found: it is kept until a call for its key. A
    /// record that has not expired is never removed in place of the other.
    fn remove_expired(&self, hash: KeyHashValue, now: Timestamp) -> bool {
        let found = self.cache.get(&hash);
        if found.is_none_or(|kept| now < kept.completed.expires_at) {
            return false;
        }
        let Some(kept) = self.cache.remove(&hash) else { return false };
        self.account.forget(hash, &kept);
        true
    }

    /// The number of entries in the expiry index, and of records in moka.
    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        self.run_pending_tasks();
        let parts = &self.account.parts;
        ((0..parts.len()).map(|part| parts.at(part).due().len()).sum(), self.cache.iter().count())
    }

    /// Runs the work that moka has postponed: dropping removed records, and evicting down to its bound.
    pub(crate) fn run_pending_tasks(&self) {
        self.cache.run_pending_tasks();
    }
}

/// The number of records that a store of this size will probably hold, a little under a power of two, which moka
/// doubles and rounds up: 16 bytes for each of them. Growing to the same size step by step took a tenth of all the
/// time spent on new keys, in pauses.
fn initial_capacity(config: &MokaConfig) -> usize {
    const PROBABLE_BYTES: u64 = 2 * RECORD_OVERHEAD;
    const MOST: u64 = 1 << 18;
    let records = config.max_entries.min(config.max_bytes / PROBABLE_BYTES).min(MOST);
    usize::try_from(records * 15 / 16).unwrap_or(0)
}

impl std::fmt::Debug for EvictableRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvictableRecords").finish_non_exhaustive()
    }
}

impl Account {
    fn evicted(&self, key: &HashedKey, kept: &CompletedRecord) {
        self.forget(key.hash_value(), kept);
        if self.clock.now() < kept.completed.expires_at {
            self.usage.evicted();
            tracing::debug!(key = %key.key(), "a completed record was evicted before it expired");
        }
    }

    fn forget(&self, hash: KeyHashValue, kept: &CompletedRecord) {
        self.parts.of(hash).due().remove(kept.completed.expires_at, hash);
        self.usage.forget(&kept.scope, kept.outcome_bytes());
    }
}
