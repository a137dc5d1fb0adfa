//! Counting what scopes hold, and what the database itself says of it.

use std::time::Duration;

use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use redb::Database;

use crate::error::Failure;
use crate::held::{Changes, Held, ScopeId};
use crate::held_row::HeldRow;
use crate::mark::Mark;
use crate::share::Share;
use crate::slot::guarded;
use crate::tables::Tables;
use crate::{file, found};

/// How long changes are counted before the counts are written down, in the next commit.
const SAVED_EVERY: Duration = Duration::from_secs(1);
/// How many bytes of changes are: a fast sweep removes far more in a second.
const SAVED_AFTER: u64 = 64 << 10;
/// Between two attempts to count all records anew.
const RECOUNTED_EVERY: Duration = Duration::from_mins(1);

/// What a file says of itself when it is opened.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What its scopes hold, as far as anybody knows.
    pub(crate) held: Held,
    /// Whether that is exact.
    pub(crate) is_exact: bool,
    /// The most bytes of records that the file is known to have had room for.
    pub(crate) most: u64,
    /// Whether there are tables of the application's in it.
    pub(crate) has_rows: bool,
}

impl Known {
    /// Of a database that has come as far as `mark`. It is a protection: damage that is met meanwhile keeps nobody from
    /// opening a file.
    pub(crate) fn of(database: &Database, mark: Mark) -> Self {
        let known = guarded(|| {
            let txn = file::begin(database, false)?;
            let known = Tables::open(&txn)?.known(mark)?;
            let known = Self { has_rows: found::has_rows(&txn)?, ..known };
            txn.abort()?;
            Ok(known)
        });
        known.unwrap_or_else(|failure| {
            let error = failure.into_error(Operation::Open);
            tracing::warn!(error = &error as &dyn std::error::Error, "nobody knows what the scopes hold");
            Self { has_rows: true, ..Self::default() }
        })
    }
}

/// Whether anybody counts what the scopes of a database hold.
#[derive(Debug)]
pub(crate) struct Counting {
    share: Option<Share>,
    /// Whether the database may say what scopes hold, while nobody counts any more: a later opening must not believe it.
    is_stale: bool,
}

impl Counting {
    pub(crate) fn new(share: Option<Share>) -> Self {
        Self { is_stale: share.is_none(), share }
    }

    pub(crate) fn share(&self) -> Option<&Share> {
        self.share.as_ref()
    }

    /// Another database of the application's was taken over.
    pub(crate) fn adopted(&mut self) {
        self.is_stale = true;
    }

    /// The database was opened anew: what was counted may not be what is in it.
    pub(crate) fn opened_again(&mut self) {
        if let Some(share) = &mut self.share {
            share.counts.is_exact = false;
        }
    }

    /// Counts the changes made in `tables`, and writes the counts down now and then, beside a mark of `time`.
    pub(crate) fn write(
        &self,
        tables: &mut Tables<'_>,
        time: Timestamp,
        now: Duration,
    ) -> Result<Option<Counts>, Failure> {
        let Some(share) = &self.share else { return self.forget(tables).map(|()| None) };
        let mut counts = share.counts.with(&tables.take_changes(), share.exempt(), now);
        if counts.is_saved_at(now) {
            if counts.is_to_be_recounted(now) {
                counts.recount(tables, now);
            }
            // What follows may not be written down any more.
            tables.write_held(&counts.row(time, share.most(), false))?;
        }
        Ok(Some(counts))
    }

    /// Writes down what was counted so far.
    pub(crate) fn write_all(&self, tables: &mut Tables<'_>, time: Timestamp) -> Result<(), Failure> {
        match &self.share {
            Some(share) => tables.write_held(&share.counts.row(time, share.most(), true)),
            None => self.forget(tables),
        }
    }

    fn forget(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        if self.is_stale { tables.remove_held() } else { Ok(()) }
    }

    /// What was written is committed.
    pub(crate) fn committed(&mut self, counts: Option<Counts>) {
        self.is_stale = false;
        if let (Some(share), Some(counts)) = (&mut self.share, counts) {
            share.committed(counts);
        }
    }
}

/// What is counted, and how much of it is not written down yet.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub(crate) held: Held,
    /// How many bytes of records the last commit added.
    pub(crate) added: u64,
    /// Whether all records are in it, and nothing else.
    is_exact: bool,
    not_recounted_before: Duration,
    unsaved: u64,
    /// `None` until it was written down once.
    saved_at: Option<Duration>,
}

impl Counts {
    pub(crate) fn new(held: Held, is_exact: bool) -> Self {
        Self { held, added: 0, is_exact, not_recounted_before: Duration::ZERO, unsaved: 0, saved_at: None }
    }

    /// What is counted once `changes` are committed.
    fn with(&self, changes: &Changes, exempt: ScopeId, now: Duration) -> Self {
        let mut counts = Self { added: 0, ..self.clone() };
        for (scope, bytes) in changes.iter() {
            counts.held.change((exempt != *scope).then_some(scope), *bytes);
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

    fn is_saved_at(&self, now: Duration) -> bool {
        self.unsaved == 0 && self.saved_at == Some(now)
    }

    /// After a crash, or where the file did not say.
    fn is_to_be_recounted(&self, now: Duration) -> bool {
        !self.is_exact && now >= self.not_recounted_before
    }

    /// Counts all records, where there are few. Damage that is met meanwhile fails nobody's call.
    fn recount(&mut self, tables: &mut Tables<'_>, now: Duration) {
        self.not_recounted_before = now + RECOUNTED_EVERY;
        match guarded(|| tables.recount_of_few()) {
            Ok(Some(held)) => (self.held, self.is_exact) = (held, true),
            Ok(None) => {}
            Err(failure) => {
                self.not_recounted_before = Duration::MAX;
                let error = failure.into_error(Operation::Maintain);
                tracing::warn!(error = &error as &dyn std::error::Error, "the records cannot be counted");
            }
        }
    }

    fn row(&self, as_of: Timestamp, most: u64, is_last: bool) -> HeldRow {
        HeldRow { held: self.held.clone(), as_of, most, is_exact: self.is_exact && is_last }
    }
}
