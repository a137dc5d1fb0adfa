//! The scopes' usage: as it was saved, or counted from the records.

use std::ops::Bound;

use idem_core::Key;
use redb::{ReadableTable, ReadableTableMetadata};

use super::sizes::{IN_INDEX, LOCK, size};
use super::write::Tables;
use crate::error::Failure;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::lock_expiry::{self, HIGH_WATER_MARK, note_key};
use crate::storage::records::scope_usage::{ScopeId, ScopeUsage};

/// How many records are read at most, and how many bytes of them. That takes some milliseconds.
const MOST_RECORDS: u64 = 4_096;
const MOST_BYTES: usize = 8 << 20;

/// The result of a count.
#[derive(Debug)]
pub(crate) struct Recount {
    pub(crate) usage: ScopeUsage,
    /// Whether all records were counted. If not, the total is an estimate, and the scopes have what was read of them.
    pub(crate) is_exact: bool,
}

/// What is known of the usage of a file when it is opened.
#[derive(Debug, Default)]
pub(crate) struct KnownUsage {
    /// The scopes' usage, as far as it is known.
    pub(crate) usage: ScopeUsage,
    /// Whether the usage is exact.
    pub(crate) is_exact: bool,
    /// The most bytes of records that the file is known to have had room for.
    pub(crate) peak: u64,
    /// Whether the application has tables in the file.
    pub(crate) has_other_tables: bool,
}

impl Tables<'_> {
    /// The scopes' usage, as it was saved with `mark`, or else counted now.
    pub(crate) fn known(&mut self, mark: HighWaterMark) -> Result<KnownUsage, Failure> {
        if let Some(row) = lock_expiry::read_usage(&self.locks)?.filter(|row| row.is_of(mark.time)) {
            let is_exact = row.is_exact && row.as_of == mark.time;
            return Ok(KnownUsage { usage: row.usage, is_exact, peak: row.peak, has_other_tables: false });
        }
        let counted = self.recount()?;
        Ok(KnownUsage { usage: counted.usage, is_exact: counted.is_exact, ..KnownUsage::default() })
    }

    /// Counts what all records take. Of more than a few records it is an estimate.
    pub(crate) fn recount(&mut self) -> Result<Recount, Failure> {
        let mut part = Part { usage: ScopeUsage::default(), bytes: 0, records: 0 };
        for entry in self.outcomes.open()?.iter()? {
            let (_, value) = entry?;
            if !part.add(value.value().first_chunk(), IN_INDEX + value.value().len()) {
                break;
            }
        }
        if part.is_within_bounds() {
            for entry in self.checkpoints.open()?.iter()? {
                let (key, value) = entry?;
                if !part.add(key.value().first_chunk(), Key::STORAGE_LEN + value.value().len()) {
                    break;
                }
            }
        }
        let all = self.outcomes.open()?.len()?.saturating_add(self.checkpoints.open()?.len()?);
        let is_exact = part.records == all && self.locks.len()? <= MOST_RECORDS;
        if is_exact {
            // The mark stands behind all notes.
            let mark = note_key(HIGH_WATER_MARK);
            let behind = (Bound::Excluded(&mark), Bound::Unbounded);
            for entry in self.locks.range::<&[u8; Key::STORAGE_LEN]>(behind)? {
                let (key, _) = entry?;
                part.usage.change(key.value().first_chunk(), LOCK);
            }
            return Ok(Recount { usage: part.usage, is_exact });
        }
        let read = u128::from(part.usage.all());
        let estimate = read.saturating_mul(u128::from(all)) / u128::from(part.records.max(1));
        part.usage.estimate(u64::try_from(estimate).unwrap_or(u64::MAX));
        // Each lock has a note.
        let locks = i64::try_from(self.locks.len()? / 2).unwrap_or(i64::MAX);
        part.usage.change(None, LOCK.saturating_mul(locks));
        Ok(Recount { usage: part.usage, is_exact })
    }

    /// As `recount` where the result is exact; `None` where there are too many records.
    pub(crate) fn recount_of_few(&mut self) -> Result<Option<ScopeUsage>, Failure> {
        let lengths = [self.outcomes.open()?.len()?, self.checkpoints.open()?.len()?, self.locks.len()?];
        if lengths.iter().any(|length| *length > MOST_RECORDS) {
            return Ok(None);
        }
        let recount = self.recount()?;
        Ok(recount.is_exact.then_some(recount.usage))
    }
}

/// What was read so far.
struct Part {
    usage: ScopeUsage,
    bytes: usize,
    records: u64,
}

impl Part {
    /// Adds a record; returns whether to continue.
    fn add(&mut self, scope: Option<&ScopeId>, bytes: usize) -> bool {
        self.usage.change(scope, size(bytes));
        self.bytes += bytes;
        self.records += 1;
        self.is_within_bounds()
    }

    fn is_within_bounds(&self) -> bool {
        self.records < MOST_RECORDS && self.bytes < MOST_BYTES
    }
}
