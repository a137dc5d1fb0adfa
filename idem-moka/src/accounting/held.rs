//! Counts of records and bytes: of a whole store, or of one scope.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::RECORD_OVERHEAD;

/// Records, the locked ones among them, and bytes.
///
/// Records and locks share one word, and the overhead of records is computed instead of counted. A write to memory that
/// all threads write is a large part of a call's cost, and this way a new lock takes only one.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Locked records in the upper 28 bits and records in the lower 36; all bits are set once it is closed.
    counts: AtomicU64,
    /// Bytes of outcomes and checkpoints.
    payload: AtomicU64,
    checkpoint_bytes: AtomicU64,
}

const RECORD: u64 = 1;
const LOCK: u64 = 1 << 36;
const CLOSED: u64 = u64::MAX;

impl Held {
    pub(crate) fn records(&self) -> u64 {
        records(self.counts.load(Relaxed))
    }

    pub(crate) fn locks(&self) -> u64 {
        locks(self.counts.load(Relaxed))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes_of(self.records())
    }

    fn bytes_of(&self, records: u64) -> u64 {
        self.payload.load(Relaxed).saturating_add(RECORD_OVERHEAD * records)
    }

    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes.load(Relaxed)
    }

    /// Adds a locked record within all three limits, or names the first that it would exceed. Exact for any number of
    /// threads.
    pub(crate) fn lock_within(&self, most: &Most) -> Result<(), Exceeded> {
        let exceeded = |counts: u64| {
            if locks(counts) >= most.locks {
                Some(Exceeded::Locks)
            } else if records(counts) >= most.records {
                Some(Exceeded::Records)
            } else {
                (self.bytes_of(records(counts) + 1) > most.bytes).then_some(Exceeded::Bytes)
            }
        };
        let within = |counts: u64| exceeded(counts).is_none().then(|| counts + LOCK + RECORD);
        match self.counts.fetch_update(Relaxed, Relaxed, within) {
            Ok(_) => Ok(()),
            Err(counts) => Err(exceeded(counts).unwrap_or(Exceeded::Bytes)),
        }
    }

    /// Adds a locked record, unless this is closed.
    pub(crate) fn lock(&self) -> bool {
        let open = |counts: u64| (counts != CLOSED).then(|| counts + LOCK + RECORD);
        self.counts.fetch_update(Relaxed, Relaxed, open).is_ok()
    }

    /// Closes this if it holds nothing.
    pub(crate) fn close(&self) -> bool {
        self.counts.compare_exchange(0, CLOSED, Relaxed, Relaxed).is_ok()
    }

    /// Counts a locked record's checkpoint that grew or shrank.
    pub(crate) fn checkpoint(&self, before: u64, after: u64) {
        if before != after {
            for counter in [&self.checkpoint_bytes, &self.payload] {
                counter.fetch_add(after, Relaxed);
                counter.fetch_sub(before, Relaxed);
            }
        }
    }

    /// Counts a locked record with `checkpoint` bytes that became a completed one with `outcome` bytes.
    pub(crate) fn complete(&self, checkpoint: u64, outcome: u64) {
        self.payload.fetch_add(outcome, Relaxed);
        self.checkpoint_gone(checkpoint);
        self.counts.fetch_sub(LOCK, Relaxed);
    }

    /// Subtracts a locked record with `checkpoint` bytes. Returns whether it was the last record.
    pub(crate) fn unlock(&self, checkpoint: u64) -> bool {
        self.checkpoint_gone(checkpoint);
        // The counts change last: a thread that sees no record sees no bytes either.
        records(self.counts.fetch_sub(LOCK + RECORD, Relaxed)) == 1
    }

    /// Subtracts a completed record with `outcome` bytes. Returns whether it was the last record.
    pub(crate) fn forget(&self, outcome: u64) -> bool {
        self.payload.fetch_sub(outcome, Relaxed);
        records(self.counts.fetch_sub(RECORD, Relaxed)) == 1
    }

    fn checkpoint_gone(&self, bytes: u64) {
        if bytes > 0 {
            self.payload.fetch_sub(bytes, Relaxed);
            self.checkpoint_bytes.fetch_sub(bytes, Relaxed);
        }
    }
}

/// The most that may be held.
#[derive(Debug)]
pub(crate) struct Most {
    pub(crate) locks: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Which limit would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Locks,
    Records,
    Bytes,
}

fn records(counts: u64) -> u64 {
    counts % LOCK
}

fn locks(counts: u64) -> u64 {
    counts / LOCK
}
