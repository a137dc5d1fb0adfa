//! What the store holds and what it may hold.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use idem_core::{Error, ErrorKind, Operation};

use crate::{MokaConfig, WhenFull};

/// Bytes that a record counts for beside its outcome or checkpoint: what its places in moka, in the expiry
/// index and in the allocator take, as measured (about 0.45 KiB) and rounded up.
pub const RECORD_OVERHEAD: u64 = 512;

/// What a [`MokaStore`](crate::MokaStore) holds, and what it did at its bounds.
///
/// The figures are read one by one while the store goes on, so they may be some calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MokaStats {
    /// Locked records: held, lapsed within their retention, or released with a checkpoint.
    pub locks: u64,
    /// Completed records, including expired ones that nothing has removed yet.
    pub completed: u64,
    /// Bytes of all outcomes and checkpoints, and [`RECORD_OVERHEAD`] for each record.
    pub bytes: u64,
    /// Calls refused with [`ErrorKind::Full`] since the store was made.
    pub refused: u64,
    /// Completed records dropped before they expired, since the store was made.
    pub evicted: u64,
}

/// The bound that a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Locks(u64),
    Entries(u64),
    Bytes(u64),
    Checkpoints(u64),
}

impl Bound {
    pub(crate) fn refuse(self, operation: Operation) -> Error {
        let message = match self {
            Self::Locks(most) => format!("max_locks = {most} records are locked"),
            Self::Entries(most) => format!("max_entries = {most} records are kept"),
            Self::Bytes(most) => format!("max_bytes = {most} are in use"),
            Self::Checkpoints(most) => format!("max_bytes = {most} are in use by checkpoints"),
        };
        Error::new(ErrorKind::Full, operation, message)
    }
}

/// Counts records and bytes of all shards. A reservation is made before its record is, and is exact however
/// many threads make one.
#[derive(Debug)]
pub(crate) struct Usage {
    max_locks: u64,
    max_bytes: u64,
    /// Records of both kinds and their bytes as `lock` is held to them; under `evict` moka bounds the
    /// completed ones, `max_locks` and `max_bytes` the locked.
    most_entries: u64,
    most_bytes: u64,
    locks: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    checkpoint_bytes: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
}

impl Usage {
    pub(crate) fn new(config: &MokaConfig) -> Self {
        let (most_entries, most_bytes) = match config.when_full {
            WhenFull::Refuse => (config.max_entries, config.max_bytes),
            WhenFull::Evict => (u64::MAX, u64::MAX),
        };
        Self {
            max_locks: config.max_locks,
            max_bytes: config.max_bytes,
            most_entries,
            most_bytes,
            locks: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            checkpoint_bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub(crate) fn stats(&self) -> MokaStats {
        let locks = self.locks.load(Relaxed);
        MokaStats {
            locks,
            completed: self.entries.load(Relaxed).saturating_sub(locks),
            bytes: self.bytes.load(Relaxed),
            refused: self.refused.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
        }
    }

    /// Reserves a new locked record: the one step that a bound may refuse.
    pub(crate) fn lock(&self) -> Result<(), Bound> {
        if self.checkpoint_bytes.load(Relaxed) >= self.max_bytes {
            return Err(Bound::Checkpoints(self.max_bytes));
        }
        if !reserve(&self.locks, 1, self.max_locks) {
            return Err(Bound::Locks(self.max_locks));
        }
        if !reserve(&self.entries, 1, self.most_entries) {
            self.locks.fetch_sub(1, Relaxed);
            return Err(Bound::Entries(self.most_entries));
        }
        if !reserve(&self.bytes, RECORD_OVERHEAD, self.most_bytes) {
            self.locks.fetch_sub(1, Relaxed);
            self.entries.fetch_sub(1, Relaxed);
            return Err(Bound::Bytes(self.most_bytes));
        }
        Ok(())
    }

    /// A locked record's checkpoint grows or shrinks. Never refused: a holder that could not save its progress,
    /// or not even renew, would lose its key to a second one while it works.
    pub(crate) fn checkpoint(&self, before: u64, after: u64) {
        if before != after {
            for counter in [&self.checkpoint_bytes, &self.bytes] {
                counter.fetch_add(after, Relaxed);
                counter.fetch_sub(before, Relaxed);
            }
        }
    }

    /// A locked record with `checkpoint` bytes is gone.
    pub(crate) fn unlock(&self, checkpoint: u64) {
        self.locks.fetch_sub(1, Relaxed);
        self.entries.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(RECORD_OVERHEAD + checkpoint, Relaxed);
        self.checkpoint_bytes.fetch_sub(checkpoint, Relaxed);
    }

    /// A locked record with `checkpoint` bytes becomes a completed one with `outcome` bytes. Never refused: its
    /// lock was granted.
    pub(crate) fn complete(&self, checkpoint: u64, outcome: u64) {
        self.locks.fetch_sub(1, Relaxed);
        self.bytes.fetch_add(outcome, Relaxed);
        if checkpoint > 0 {
            self.bytes.fetch_sub(checkpoint, Relaxed);
            self.checkpoint_bytes.fetch_sub(checkpoint, Relaxed);
        }
    }

    /// A completed record with `outcome` bytes is gone.
    pub(crate) fn forget(&self, outcome: u64) {
        self.entries.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(RECORD_OVERHEAD + outcome, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn evicted(&self) {
        self.evicted.fetch_add(1, Relaxed);
        idem_core::metrics::evicted(1);
    }
}

fn reserve(counter: &AtomicU64, amount: u64, most: u64) -> bool {
    let within = |now: u64| now.checked_add(amount).filter(|sum| *sum <= most);
    counter.fetch_update(Relaxed, Relaxed, within).is_ok()
}
