//! The expiry index of the records in moka, in as many parts as there are shards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::evict::expiry::Expiry;
use crate::hash::KeyHashValue;

/// The expiry index of all records in moka, in parts.
///
/// Lock order: a shard's lock, then whatever moka locks, then a part's [`due`](Part::due). No call into moka
/// under `due`: moka runs its eviction listener, which takes `due` of any part, inside any call that writes.
#[derive(Debug)]
pub(crate) struct Parts(Box<[Part]>);

#[derive(Debug)]
#[repr(align(128))] // No two parts share a cache line.
pub(crate) struct Part {
    /// How many records of this part were put into moka.
    completions: AtomicU64,
    due: Mutex<Expiry>,
}

/// A lookup in moka found no record of a key. Holds the part's number of completions at that time: while it is
/// unchanged, the key cannot have been completed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoneCompleted {
    completions: Option<u64>,
}

impl NoneCompleted {
    /// Nothing is known: look the key up again.
    pub(crate) const UNKNOWN: Self = Self { completions: None };
}

impl Parts {
    pub(crate) fn new(parts: usize) -> Self {
        let part = || Part { completions: AtomicU64::new(0), due: Mutex::new(Expiry::new()) };
        Self((0..parts).map(|_| part()).collect())
    }

    pub(crate) fn of(&self, hash: KeyHashValue) -> &Part {
        &self.0[hash.spread(self.0.len())]
    }

    pub(crate) fn at(&self, place: usize) -> &Part {
        &self.0[place]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Part {
    pub(crate) fn due(&self) -> MutexGuard<'_, Expiry> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn completions(&self) -> NoneCompleted {
        NoneCompleted { completions: Some(self.completions.load(Ordering::Acquire)) }
    }

    /// To be called after a record was put into moka, with the lock of its key's shard still held, so that a reader
    /// that sees the new number also sees the record.
    pub(crate) fn completed(&self) {
        self.completions.fetch_add(1, Ordering::Release);
    }
}
