//! What one transaction does to the records.

use idem_core::decide::{Answer, Call, Change};
use idem_core::{Key, Result, Timestamp, decide};

use crate::error::Failure;
use crate::mark::{self, Mark};
use crate::queue::{Done, SweepStep};
use crate::tables::Tables;

/// The state of one transaction: one instant, and the sequences given out in it.
pub(crate) struct Step {
    pub(crate) now: Timestamp,
    sequence: u64,
    pub(crate) wrote: bool,
    /// Whether the records written do not tell by themselves how far time and sequences have come.
    needs_mark: bool,
}

impl Step {
    pub(crate) fn new(now: Timestamp, sequence: u64, needs_mark: bool) -> Self {
        Self { now, sequence, wrote: false, needs_mark }
    }

    /// `Ok(Err(_))`: this record cannot be read, which concerns this call alone.
    pub(crate) fn call(
        &mut self,
        tables: &mut Tables<'_>,
        key: &Key,
        mut call: Call,
    ) -> Result<Result<Done>, Failure> {
        let found = match tables.load(key, self.now) {
            Ok(found) => found,
            Err(Failure::Record(_)) if matches!(call, Call::Remove { force: true }) => {
                let removed = tables.remove_unread(key)?;
                self.wrote |= removed;
                self.needs_mark |= removed;
                return Ok(Ok(Done { answer: Answer::Removed(removed), wrote: removed }));
            }
            Err(Failure::Record(error)) => return Ok(Err(error.during(call.operation()))),
            Err(failure) => return Err(failure),
        };
        // One above all that were given out before: tokens rise across removal too, and number the log.
        let number = self.sequence.saturating_add(1).max(self.now.as_micros());
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = number;
        }
        let decision = decide(found.as_ref().map(|found| &found.record), call, self.now);
        let wrote = decision.change != Change::None;
        let tells = matches!(&decision.change, Change::Put(record) if mark::tells(record, self.now, number));
        if let Change::Put(record) = &decision.change {
            self.sequence = number.max(record.token.sequence);
        }
        self.wrote |= wrote;
        self.needs_mark |= wrote && !tells;
        tables.apply(key, found.as_ref(), &decision.change, number)?;
        Ok(Ok(Done { answer: decision.answer, wrote }))
    }

    /// How many records were removed: one that the index alone has forgotten is not counted yet.
    pub(crate) fn sweep(&mut self, tables: &mut Tables<'_>, step: &SweepStep) -> Result<usize, Failure> {
        let mut removed = 0;
        match step {
            SweepStep::Index(outcomes) => {
                for (key, place) in outcomes {
                    let forgotten = tables.remove_from_index(key, *place)?;
                    self.wrote |= forgotten;
                    self.needs_mark |= forgotten;
                }
            }
            SweepStep::Outcomes(outcomes) => {
                for (key, place) in outcomes {
                    removed += usize::from(tables.remove_outcome(key, *place)?);
                }
            }
            SweepStep::Locks(keys) => {
                for key in keys {
                    let found = match tables.load(key, self.now) {
                        Ok(Some(found)) if found.record.is_expired(self.now) => found,
                        // Locked anew since it was seen, gone, or unreadable: not ours to remove.
                        Ok(_) | Err(Failure::Record(_)) => continue,
                        Err(failure) => return Err(failure),
                    };
                    tables.apply(key, Some(&found), &Change::Remove, 0)?;
                    removed += 1;
                }
            }
        }
        self.wrote |= removed > 0;
        self.needs_mark |= removed > 0;
        Ok(removed)
    }

    /// Writes the mark where the records do not tell as much.
    pub(crate) fn finish(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        if self.wrote && self.needs_mark { tables.write_mark(self.mark()) } else { Ok(()) }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { time: self.now, sequence: self.sequence }
    }
}
