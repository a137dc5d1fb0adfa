//! The share of the disk that one scope may fill: the rule, and the counts that it is checked against.
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

/// Enforces the quota of each scope.
#[derive(Debug)]
pub(crate) struct ScopeQuota {
    option: f64,
    /// The shared scope, which has no quota: an application with a single tenant uses it.
    exempt: ScopeId,
    disk_space: Arc<DiskSpace>,
    pub(crate) counts: Counts,
}

impl ScopeQuota {
    /// The quota on a file whose usage is `known`.
    pub(crate) fn new(option: f64, disk_space: Arc<DiskSpace>, known: KnownUsage) -> Self {
        disk_space.begin(known.usage.all(), known.peak, known.has_other_tables);
        Self {
            option,
            exempt: Scope::shared().prefix(),
            disk_space,
            counts: Counts::new(known.usage, known.is_exact),
        }
    }

    /// Refuses a new key when the space that is left is reserved for holders, or when its scope is over its quota.
    pub(crate) fn check(&self, key: &Key) -> idem_core::Result<()> {
        if self.disk_space.is_nearly_short() {
            self.disk_space.measure_again();
        }
        let checked = self.check_as_measured(key);
        // Others may have freed space since the last measurement, and the estimate of what records took is a high one.
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
        // The first record of a scope is never refused, nor is a scope that is too small to be counted.
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

    /// The scope without a quota, which is counted in the total only.
    pub(crate) fn exempt(&self) -> ScopeId {
        self.exempt
    }

    /// The bytes of the file that records take, where they are all that is in it.
    pub(crate) fn in_use(&self) -> Option<u64> {
        self.disk_space.in_use()
    }

    /// The space that the file system has left, where it is known.
    pub(crate) fn available(&self) -> Option<u64> {
        self.disk_space.available()
    }

    /// The most bytes of records that the file is known to have had room for.
    pub(crate) fn peak(&self) -> u64 {
        self.disk_space.peak()
    }

    /// Notes that the application has tables of its own in the file.
    pub(crate) fn note_other_tables(&self) {
        self.disk_space.note_other_tables();
    }

    /// The file was compacted.
    pub(crate) fn compacted(&self) {
        self.disk_space.compacted();
    }

    /// A write ran out of space.
    pub(crate) fn ran_out_of_space(&self) {
        self.disk_space.ran_out_of_space();
    }

    /// Takes over the counts once they are committed.
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
