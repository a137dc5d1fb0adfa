//! The scopes' counted usage, and when it is saved or recounted.

use std::time::Duration;

use idem_core::clock::Timestamp;
use idem_core::error::Operation;

use crate::storage::guard::guarded;
use crate::storage::records::scope_usage::{ScopeId, ScopeUsage, UsageChanges};
use crate::storage::records::usage_row::UsageRow;
use crate::storage::tables::write::Tables;

/// How long changes are counted before the next commit saves the counts.
const SAVED_EVERY: Duration = Duration::from_secs(1);
/// How many bytes of changes are counted before that: a fast sweep removes far more in a second.
const SAVED_AFTER: u64 = 64 << 10;
/// The time between two attempts to recount all records.
const RECOUNTED_EVERY: Duration = Duration::from_mins(1);

/// The counted usage, and how much of it is not saved yet.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub(crate) usage: ScopeUsage,
    /// How many bytes of records the last commit added.
    pub(crate) added: u64,
    /// Whether the usage is exactly that of all records.
    pub(super) is_exact: bool,
    not_recounted_before: Duration,
    unsaved: u64,
    /// `None` until it was saved once.
    saved_at: Option<Duration>,
}

impl Counts {
    pub(crate) fn new(usage: ScopeUsage, is_exact: bool) -> Self {
        Self { usage, added: 0, is_exact, not_recounted_before: Duration::ZERO, unsaved: 0, saved_at: None }
    }

    /// The counts once `changes` are committed.
    pub(super) fn with(&self, changes: &UsageChanges, exempt: ScopeId, now: Duration) -> Self {
        let mut counts = Self { added: 0, ..self.clone() };
        for (scope, bytes) in changes.iter() {
            counts.usage.change((exempt != *scope).then_some(scope), *bytes);
            counts.added = counts.added.saturating_add_signed((*bytes).max(0));
            counts.unsaved = counts.unsaved.saturating_add(bytes.unsigned_abs());
        }
        let is_due = counts.unsaved > SAVED_AFTER
            || counts.saved_at.is_none_or(|saved_at| now.saturating_sub(saved_at) > SAVED_EVERY);
        if is_due {
            (counts.unsaved, counts.saved_at) = (0, Some(now));
        }
        counts
    }

    pub(super) fn is_saved_at(&self, now: Duration) -> bool {
        self.unsaved == 0 && self.saved_at == Some(now)
    }

    /// After a crash, or where the file had no usage row.
    pub(super) fn is_to_be_recounted(&self, now: Duration) -> bool {
        !self.is_exact && now >= self.not_recounted_before
    }

    /// Counts all records, where there are few. Damage found meanwhile fails no call.
    pub(super) fn recount(&mut self, tables: &mut Tables<'_>, now: Duration) {
        self.not_recounted_before = now + RECOUNTED_EVERY;
        match guarded(|| tables.recount_of_few()) {
            Ok(Some(usage)) => (self.usage, self.is_exact) = (usage, true),
            Ok(None) => {}
            Err(failure) => {
                self.not_recounted_before = Duration::MAX;
                let error = failure.into_error(Operation::Maintain);
                tracing::warn!(error = &error as &dyn std::error::Error, "the records cannot be counted");
            }
        }
    }

    pub(super) fn row(&self, as_of: Timestamp, peak: u64, is_last: bool) -> UsageRow {
        UsageRow { usage: self.usage.clone(), as_of, peak, is_exact: self.is_exact && is_last }
    }
}
