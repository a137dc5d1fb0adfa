//! What a store holds, and its bounds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Key};

use crate::accounting::held::{Exceeded, Held, Most};
use crate::accounting::scope::{CountedIn, ScopeUsage, Scopes};
use crate::config::{MokaConfig, WhenFull};

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
    /// Bytes of all outcomes and checkpoints, and [`RECORD_OVERHEAD`](crate::RECORD_OVERHEAD) for each record.
    pub bytes: u64,
    /// Calls refused with [`ErrorKind::Full`] since the store was made.
    pub refused: u64,
    /// Completed records dropped before they expired, since the store was made.
    pub evicted: u64,
}

/// The bound that a new key met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Store(Limit),
    /// Its scope's share of it.
    Share(Limit),
}

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Locks,
    Entries,
    Bytes,
    Checkpoints,
}

impl Bound {
    pub(crate) fn limit(self) -> Limit {
        match self {
            Self::Store(limit) | Self::Share(limit) => limit,
        }
    }

    pub(crate) fn refuse(self, operation: Operation, config: &MokaConfig) -> Error {
        let MokaConfig { max_locks, max_entries, max_bytes, max_share_per_scope, .. } = config;
        let limit = match self.limit() {
            Limit::Locks => format!("max_locks = {max_locks} records are locked"),
            Limit::Entries => format!("max_entries = {max_entries} records are kept"),
            Limit::Bytes => format!("max_bytes = {max_bytes} are in use"),
            Limit::Checkpoints => format!("max_bytes = {max_bytes} are in use by checkpoints"),
        };
        let message = match self {
            Self::Store(_) => limit,
            Self::Share(_) => format!(
                "this scope holds its share (max_share_per_scope = {max_share_per_scope}) of what is left until \
                 {limit}; it gets new keys again as its records expire"
            ),
        };
        Error::new(ErrorKind::Full, operation, message)
    }
}

/// Counts records and bytes of all shards, in total and by scope. A new record is counted before it is inserted.
#[derive(Debug)]
pub(crate) struct Usage {
    /// The bounds of a `lock`. Under `evict` moka bounds the completed records, and `max_locks` and `max_bytes` bound
    /// the locked ones.
    most: Most,
    max_checkpoint_bytes: u64,
    held: Held,
    pub(crate) scopes: Scopes,
    refused: AtomicU64,
    evicted: AtomicU64,
}

impl Usage {
    pub(crate) fn new(config: &MokaConfig) -> Self {
        let (records, bytes) = match config.when_full {
            WhenFull::Refuse => (config.max_entries, config.max_bytes),
            WhenFull::Evict => (u64::MAX, u64::MAX),
        };
        Self {
            most: Most { locks: config.max_locks, records, bytes },
            max_checkpoint_bytes: config.max_bytes,
            held: Held::default(),
            scopes: Scopes::new(config.max_share_per_scope),
            refused: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub(crate) fn stats(&self) -> MokaStats {
        let locks = self.held.locks();
        MokaStats {
            locks,
            completed: self.held.records().saturating_sub(locks),
            bytes: self.held.bytes(),
            refused: self.refused.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
        }
    }

    /// Counts a new locked record, which is the only step that a bound may refuse. `last` is the scope that was counted
    /// before in the same shard.
    pub(crate) fn lock(&self, key: &Key, last: &mut CountedIn) -> Result<CountedIn, Bound> {
        if self.held.checkpoint_bytes() >= self.max_checkpoint_bytes {
            return Err(Bound::Store(Limit::Checkpoints));
        }
        self.held.lock_within(&self.most).map_err(|exceeded| {
            Bound::Store(match exceeded {
                Exceeded::Locks => Limit::Locks,
                Exceeded::Records => Limit::Entries,
                Exceeded::Bytes => Limit::Bytes,
            })
        })?;
        let scope = self.scopes.lock(key, last);
        if let Some(limit) = scope.as_ref().and_then(|scope| self.share_exceeded(scope)) {
            self.unlock(&scope, 0);
            return Err(Bound::Share(limit));
        }
        Ok(scope)
    }

    /// The limit of which the scope, with its new record, would exceed its share. The first record is always
    /// allowed, since the share of a small store can be less than one record.
    fn share_exceeded(&self, scope: &ScopeUsage) -> Option<Limit> {
        let (all, held) = (&self.held, &scope.held);
        if held.records() <= 1 {
            return None;
        }
        let exceeds =
            |held: u64, all: u64, most: u64| !self.scopes.within_share(held, most.saturating_sub(all));
        if exceeds(held.locks(), all.locks(), self.most.locks) {
            Some(Limit::Locks)
        } else if exceeds(held.records(), all.records(), self.most.records) {
            Some(Limit::Entries)
        } else if exceeds(held.bytes(), all.bytes(), self.most.bytes) {
            Some(Limit::Bytes)
        } else if exceeds(held.checkpoint_bytes(), all.checkpoint_bytes(), self.max_checkpoint_bytes) {
            Some(Limit::Checkpoints)
        } else {
            None
        }
    }

    /// Counts a locked record's checkpoint that grew or shrank. Never refused: a holder that could not save its
    /// progress, or not even renew, would lose its key to a second holder while it works.
    pub(crate) fn checkpoint(&self, scope: &CountedIn, before: u64, after: u64) {
        self.held.checkpoint(before, after);
        if let Some(scope) = scope {
            scope.held.checkpoint(before, after);
        }
    }

    /// Subtracts a locked record with `checkpoint` bytes.
    pub(crate) fn unlock(&self, scope: &CountedIn, checkpoint: u64) {
        self.held.unlock(checkpoint);
        if let Some(scope) = scope {
            self.scopes.unlock(scope, checkpoint);
        }
    }

    /// Counts a locked record with `checkpoint` bytes that became a completed one with `outcome` bytes. Never refused,
    /// since its lock was granted.
    pub(crate) fn complete(&self, scope: &CountedIn, checkpoint: u64, outcome: u64) {
        self.held.complete(checkpoint, outcome);
        if let Some(scope) = scope {
            scope.held.complete(checkpoint, outcome);
        }
    }

    /// Subtracts a completed record with `outcome` bytes.
    pub(crate) fn forget(&self, scope: &CountedIn, outcome: u64) {
        self.held.forget(outcome);
        if let Some(scope) = scope {
            self.scopes.forget(scope, outcome);
        }
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn evicted(&self) {
        self.evicted.fetch_add(1, Relaxed);
        idem_core::metrics::evicted(1);
    }
}
