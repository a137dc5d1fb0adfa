//! What one transaction does to the records.

use idem_core::backend::{Answer, Applied, Call, Change, decide};
use idem_core::clock::Timestamp;
use idem_core::{Key, Result};

use crate::error::Failure;
use crate::quota::scope_quota::ScopeQuota;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::tables::write::Tables;
use crate::writer::queue::sweep_plan::{SweepKind, SweepStep};

/// The state of one transaction: one instant, and the sequences given out in it.
pub(crate) struct Step {
    pub(crate) now: Timestamp,
    mark: HighWaterMark,
    pub(crate) wrote: bool,
}

impl Step {
    pub(crate) fn new(mark: HighWaterMark) -> Self {
        Self { now: mark.time, mark, wrote: false }
    }

    /// Decides and applies a call. `Ok(Err(_))`: its record cannot be read, which concerns this call alone.
    pub(crate) fn call(
        &mut self,
        tables: &mut Tables<'_>,
        key: &Key,
        mut call: Call,
        quota: Option<&ScopeQuota>,
    ) -> Result<Result<Applied>, Failure> {
        let found = if matches!(call, Call::Lock { .. }) {
            tables.load_with_checkpoint(key, self.now)
        } else {
            tables.load(key, self.now)
        };
        let found = match found {
            Ok(found) => found,
            Err(Failure::Record(_)) if matches!(call, Call::Remove { force: true }) => {
                let removed = tables.remove_unread(key)?;
                self.wrote |= removed;
                return Ok(Ok(Applied { answer: Answer::Removed(removed), wrote: removed }));
            }
            Err(Failure::Record(error)) => return Ok(Err(error.during(call.operation()))),
            Err(failure) => return Err(failure),
        };
        let is_new = found.as_ref().is_none_or(|found| found.record.is_expired(self.now));
        if is_new
            && matches!(call, Call::Lock { .. })
            && let Some(quota) = quota
            && let Err(error) = quota.check(key)
        {
            return Ok(Err(error));
        }
        // Above all sequences given out before: tokens rise across removals too, and the log is numbered by them.
        let number = self.mark.sequence.saturating_add(1).max(self.now.as_micros());
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = number;
        }
        let decision = decide(found.as_ref().map(|found| &found.record), call, self.now);
        let wrote = decision.change != Change::None;
        if let Change::Put(record) = &decision.change {
            self.mark.sequence = number.max(record.token.sequence);
        }
        self.wrote |= wrote;
        tables.apply(key, found.as_ref(), &decision.change, number)?;
        Ok(Ok(Applied { answer: decision.answer, wrote }))
    }

    /// Removes the records of a sweep's step; returns how many.
    pub(crate) fn sweep(&mut self, tables: &mut Tables<'_>, step: &SweepStep) -> Result<usize, Failure> {
        let mut removed = 0;
        for (key, place) in &step.records {
            removed += usize::from(match step.kind {
                // Counted when its outcome is removed.
                SweepKind::Index => {
                    tables.remove_from_index(key, *place)?;
                    false
                }
                SweepKind::Outcomes => tables.remove_outcome(key, *place)?,
                SweepKind::Locks => tables.remove_expired_lock(key, step.as_of)?,
                SweepKind::Notes => tables.resolve_due_note(key, *place, step.as_of)?,
            });
            self.wrote = true;
        }
        Ok(removed)
    }

    pub(crate) fn mark(&self) -> HighWaterMark {
        self.mark
    }
}
