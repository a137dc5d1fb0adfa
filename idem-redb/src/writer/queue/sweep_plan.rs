//! The plan of a sweep: what it removes, and how much of that each commit does.
//!
//! The writer adds a chunk of the plan to every batch. The rate of removals so follows the rate of new records:
//! records do not pile up however fast they come, and a batch grows by a fixed share only.

use std::collections::VecDeque;

use idem_core::Key;
use idem_core::clock::Timestamp;

use crate::storage::records::schema::{Place, index_key};
use crate::storage::tables::expired::FoundExpired;

/// The least number of removals that a commit makes beside its calls. Pages are what a commit costs, and neighbours
/// share theirs.
const LEAST: usize = 32;
/// Removals of a commit without calls.
const ALONE: usize = 256;
/// Removals for each call. A record takes two calls to make, and two removals: from the index and from the log, or of
/// the lock and of its note. Two for each call therefore remove twice as many records as can be added; a sweep that
/// lags behind removes more.
const PER_CALL: usize = 2;
const PER_CALL_BEHIND: usize = 3;

/// A part of a plan: removals of one kind.
#[derive(Debug)]
pub(crate) struct SweepStep {
    pub(crate) kind: SweepKind,
    /// The records; all of them have expired, or their notes are due.
    pub(crate) records: Vec<(Key, Place)>,
    /// When they were looked up. Locks are checked again, since they may have been locked again. What had not expired
    /// at this time is left for the next sweep, so that none removes more than it found.
    pub(crate) as_of: Timestamp,
}

/// What a step removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SweepKind {
    /// The index's entries of outcomes; the outcomes are removed afterwards.
    Index,
    /// Outcomes, and what the index still has of them.
    Outcomes,
    /// Locks without their notes; the notes are removed afterwards.
    Locks,
    /// Notes, and their locks.
    Notes,
}

/// The order of a sweep: first the index in the order of its keys, then the outcomes in theirs; beside them the locks
/// in the order of their keys, then the notes in theirs. Each step so touches few pages, where removing record by
/// record would touch two scattered ones for each. A sweep that is cut off leaves outcomes without an index entry, and
/// notes without locks, for the next one.
#[derive(Debug, Default)]
pub(crate) struct SweepPlan {
    index: VecDeque<(Key, Place)>,
    outcomes: VecDeque<(Key, Place)>,
    locks: VecDeque<(Key, Place)>,
    notes: VecDeque<(Key, Place)>,
    as_of: Timestamp,
    /// Whether the look-up found more than a plan holds.
    is_behind: bool,
}

impl SweepPlan {
    pub(crate) fn new(found: FoundExpired, is_behind: bool) -> Self {
        let mut index = found.outcomes.clone();
        index.sort_unstable_by_key(|(key, _)| index_key(key));
        let mut locks = found.locks.clone();
        locks.sort_unstable_by_key(|(key, _)| *key.storage_key());
        let mut notes = found.locks;
        notes.extend(found.notes);
        notes.sort_unstable_by_key(|(_, note)| *note);
        Self {
            index: index.into(),
            outcomes: found.outcomes.into(),
            locks: locks.into(),
            notes: notes.into(),
            as_of: found.as_of,
            is_behind,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.outcomes.is_empty() && self.notes.is_empty()
    }

    /// The chunk for a commit beside `calls` calls.
    pub(super) fn chunk(&mut self, calls: usize) -> Vec<SweepStep> {
        let per_call = if self.is_behind { PER_CALL_BEHIND } else { PER_CALL };
        let size = if calls == 0 { ALONE } else { LEAST.max(per_call * calls) };
        // Half for each kind, or all for one where there is nothing of the other.
        let of_outcomes = self.index.len() + self.outcomes.len();
        let of_locks = self.locks.len() + self.notes.len();
        let for_locks = of_locks.min((size / 2).max(size.saturating_sub(of_outcomes)));
        let for_outcomes = size - for_locks;
        let as_of = self.as_of;
        let steps = [
            take(&mut self.index, for_outcomes, SweepKind::Index)
                .or_else(|| take(&mut self.outcomes, for_outcomes, SweepKind::Outcomes)),
            take(&mut self.locks, for_locks, SweepKind::Locks)
                .or_else(|| take(&mut self.notes, for_locks, SweepKind::Notes)),
        ];
        steps.into_iter().flatten().map(|(kind, records)| SweepStep { kind, records, as_of }).collect()
    }
}

fn take(
    from: &mut VecDeque<(Key, Place)>,
    size: usize,
    kind: SweepKind,
) -> Option<(SweepKind, Vec<(Key, Place)>)> {
    let size = size.min(from.len());
    (size > 0).then(|| (kind, from.drain(..size).collect()))
}

#[cfg(test)]
mod tests {
    use idem_core::Scope;

    use super::*;

    fn records(count: u64) -> Vec<(Key, Place)> {
        let key = |number: u64| Key::new(&Scope::shared(), number.to_string()).ok();
        let place = |number| Place::new(Timestamp::from_micros(number), number);
        (0..count).filter_map(|number| Some((key(number)?, place(number)))).collect()
    }

    fn plan(outcomes: u64, locks: u64) -> SweepPlan {
        let found =
            FoundExpired { outcomes: records(outcomes), locks: records(locks), ..FoundExpired::default() };
        SweepPlan::new(found, false)
    }

    fn size(chunk: &[SweepStep]) -> usize {
        chunk.iter().map(|step| step.records.len()).sum()
    }

    /// Of a thousand calls, half are completions, and each makes a record that takes two removals.
    #[test]
    fn a_chunk_removes_twice_what_a_batch_can_bring() {
        for calls in [1, 7, 64, 500] {
            let removals = size(&plan(5_000, 0).chunk(calls));
            assert!(removals >= 2 * (2 * calls / 2), "{removals} beside {calls} calls");
            assert!(removals <= LEAST.max(PER_CALL * calls), "{removals} beside {calls} calls");
        }
    }

    #[test]
    fn locks_are_swept_while_outcomes_are() {
        let chunk = plan(5_000, 5_000).chunk(64);
        let sizes: Vec<_> = chunk.iter().map(|step| (step.kind, step.records.len())).collect();
        assert_eq!(sizes, [(SweepKind::Index, 64), (SweepKind::Locks, 64)]);
    }

    #[test]
    fn all_of_a_plan_is_done_in_its_chunks() {
        for (outcomes, locks) in [(0, 0), (1, 0), (0, 1), (1_000, 3), (3, 1_000), (700, 700)] {
            let mut plan = plan(outcomes, locks);
            let mut removals = 0;
            while !plan.is_done() {
                let chunk = size(&plan.chunk(64));
                assert!(chunk > 0, "{plan:?}");
                removals += chunk;
            }
            assert_eq!(removals as u64, 2 * (outcomes + locks));
        }
    }
}
