//! What one scope may fill of the disk: the rule, and the counting that it is held to.
//!
//! A new key is refused while its scope holds more than `share / (1 - share)` times what is free, see
//! [`max_share_per_scope`](crate::RedbConfig::max_share_per_scope). A scope's usage is counted as it is committed; what
//! waits in the same commit is not counted yet.

use std::sync::Arc;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Key, Scope};

use crate::quota::counts::Counts;
use crate::quota::disk_space::DiskSpace;
use crate::storage::records::scope_usage::ScopeId;
use crate::storage::tables::recount::KnownUsage;

/// Looks after the shares of scopes.
#[derive(Debug)]
pub(crate) struct ScopeQuota {
    option: f64,
    /// The one that has no share: it is the choice of an application that has one tenant.
    exempt: ScopeId,
    disk_space: Arc<DiskSpace>,
    pub(crate) counts: Counts,
}

impl ScopeQuota {
    /// Of a file of which so much is known.
    pub(crate) fn new(option: f64, disk_space: Arc<DiskSpace>, known: KnownUsage) -> Self {
        disk_space.begin(known.usage.all(), known.peak, known.has_other_tables);
        Self {
            option,
            exempt: Scope::shared().prefix(),
            disk_space,
            counts: Counts::new(known.usage, known.is_exact),
        }
    }

    /// Refuses a new key where the room that is left is for those who hold one, or where its scope holds too much of what
    /// there is.
    pub(crate) fn check(&self, key: &Key) -> idem_core::Result<()> {
        if self.disk_space.is_nearly_short() {
            self.disk_space.measure_again();
        }
        let checked = self.check_as_measured(key);
        // Others may have made room since the last look, and what the records take was taken off at its most.
        if checked.is_err() && self.disk_space.measure_again() {
            self.check_as_measured(key)
        } else {
            checked
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk, to 53 bits")]
    fn check_as_measured(&self, key: &Key) -> idem_core::Result<()> {
        if let Some(available) = self.disk_space.reserved() {
            return Err(nearly_full(available));
        }
        let scope = key.scope_prefix();
        let usage = self.counts.usage.of(&scope);
        // Of no scope is the first record refused, nor of one that is too small to be counted.
        if usage == 0 || self.exempt == scope || self.option >= 1.0 {
            return Ok(());
        }
        let per_free = self.option / (1.0 - self.option);
        match self.disk_space.free() {
            Some(free) if usage as f64 > per_free * free as f64 => Err(self.refusal(usage, free)),
            _ => Ok(()),
        }
    }

    #[cold]
    fn refusal(&self, usage: u64, free: u64) -> Error {
        let (held, free) = (kibibytes(usage), kibibytes(free));
        let message = format!(
            "this scope holds {held} or more, which is its share (max_share_per_scope = {}) while {free} is left on \
             the disk; its known keys go on, and its records make room as they expire",
            self.option
        );
        Error::new(ErrorKind::Full, Operation::Lock, message)
    }

    /// The scope that is counted with the others only.
    pub(crate) fn exempt(&self) -> ScopeId {
        self.exempt
    }

    /// How much of the file all records take, where they are all that is in it.
    pub(crate) fn in_use(&self) -> Option<u64> {
        self.disk_space.in_use()
    }

    /// How much the file system has left, where anybody knows.
    pub(crate) fn available(&self) -> Option<u64> {
        self.disk_space.available()
    }

    /// The most bytes of records that the file is known to have had room for.
    pub(crate) fn peak(&self) -> u64 {
        self.disk_space.peak()
    }

    /// The application has written beside the records.
    pub(crate) fn note_other_tables(&self) {
        self.disk_space.note_other_tables();
    }

    /// The file has given back what was free in it.
    pub(crate) fn compacted(&self) {
        self.disk_space.compacted();
    }

    /// A write found no room.
    pub(crate) fn ran_out_of_space(&self) {
        self.disk_space.ran_out_of_space();
    }

    /// Takes over what was counted, once it is committed.
    pub(crate) fn committed(&mut self, counts: Counts) {
        self.disk_space.count(counts.usage.all(), counts.added);
        self.counts = counts;
    }
}

#[cold]
fn nearly_full(free: u64) -> Error {
    let message = format!(
        "the disk is nearly full: the {} that is left is kept for those who hold a key; nothing already kept is lost",
        kibibytes(free)
    );
    Error::new(ErrorKind::Full, Operation::Lock, message)
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes >> 10)
}
