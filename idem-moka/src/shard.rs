//! The parts that a key is found in, and the locks that make a call on it one atomic step.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::expiry::Expiry;
use crate::hash::Handle;
use crate::locked::LockedRecords;

/// Enough that threads seldom meet in one, few enough to stay in the processor's cache.
const FOR_EACH_THREAD: usize = 8;
/// Few enough to be looked through one by one.
const MOST: usize = 256;

/// All keys, in parts.
///
/// Lock order: a shard's [`locked`](Shard::locked), then whatever moka locks, then a shard's
/// [`due`](Shard::due). Never two shards' `locked` at once, and no call into moka under `due`: moka runs its
/// eviction listener, which takes `due` of any shard, inside any call that writes.
#[derive(Debug)]
pub(crate) struct Shards(Box<[Shard]>);

/// One part of the keys.
#[derive(Debug)]
#[repr(align(128))] // No two shards share a cache line.
pub(crate) struct Shard {
    locked: Mutex<LockedRecords>,
    /// How many completed records of this shard were put into moka.
    completions: AtomicU64,
    /// When the completed records of this shard expire.
    due: Mutex<Expiry>,
}

impl Shards {
    pub(crate) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = threads.saturating_mul(FOR_EACH_THREAD).min(MOST).next_power_of_two();
        Self((0..shards).map(|_| Shard::new()).collect())
    }

    pub(crate) fn of(&self, handle: Handle) -> &Shard {
        &self.0[handle.spread(self.0.len())]
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Shard> {
        self.0.iter()
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            locked: Mutex::new(LockedRecords::new()),
            completions: AtomicU64::new(0),
            due: Mutex::new(Expiry::new()),
        }
    }

    /// While this is held, no key of this shard changes its record; moka alone may evict a completed one.
    ///
    /// Poison is taken over: the parts of a record change together, after everything that could panic.
    pub(crate) fn locked(&self) -> MutexGuard<'_, LockedRecords> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn due(&self) -> MutexGuard<'_, Expiry> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that has changed when a key may have been completed since it was read before.
    pub(crate) fn completions(&self) -> u64 {
        self.completions.load(Ordering::Acquire)
    }

    /// To be called after a completed record was put into moka, with `locked` still held: a reader that sees
    /// the new number then also sees the record.
    pub(crate) fn completed(&self) {
        // No other thread writes it while this one holds the lock.
        self.completions.store(self.completions.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}
