//! The sweep in progress: a chunk of it goes into every batch.

use idem_core::error::Operation;

use crate::error::{Away, Failure};
use crate::writer::commit::batch::Committed;
use crate::writer::queue::priority::QueueReceiver;
use crate::writer::queue::queued_sweep::QueuedSweep;
use crate::writer::queue::sweep_plan::SweepStep;

#[derive(Default)]
pub(crate) struct SweepProgress {
    current: Option<QueuedSweep>,
    /// The background sweeper's sweep, while one that a caller waits for is in progress.
    deferred: Option<QueuedSweep>,
    /// Calls that were alone in their commits since the last chunk. They add records too.
    pub(crate) lone_calls: usize,
}

impl SweepProgress {
    /// Whether there is something to sweep; starts the next sweep where none is in progress.
    pub(crate) fn is_under_way(&mut self, queue: &mut QueueReceiver) -> bool {
        // A sweep that a caller waits for is short; the sweeper's may take longer than a call.
        if self.current.as_ref().is_none_or(|sweep| !sweep.is_awaited)
            && let Some(awaited) = queue.awaited_sweeps.take()
            && let Some(sweepers) = self.current.replace(awaited)
        {
            self.deferred = Some(sweepers);
        }
        if self.current.is_none() {
            self.current = self.deferred.take().or_else(|| queue.sweeps.take());
        }
        self.current.is_some()
    }

    /// The chunk that goes into a batch of `calls` calls.
    pub(crate) fn chunk(&mut self, calls: usize, queue: &mut QueueReceiver) -> Vec<SweepStep> {
        let calls = calls + std::mem::take(&mut self.lone_calls);
        if !self.is_under_way(queue) {
            return Vec::new();
        }
        self.current.as_mut().map(|sweep| sweep.chunk(calls)).unwrap_or_default()
    }

    /// Advances the sweep after the batch with its chunk, or fails it with the batch.
    pub(crate) fn advance(&mut self, done: &Result<Committed, Failure>) {
        if let Some(sweep) = self.current.take() {
            match done {
                Ok(committed) => self.current = sweep.advance(committed.removed),
                Err(failure) => sweep.end(failure.to_error(Operation::Expire)),
            }
        }
    }

    /// Refuses all sweeps: the database is away.
    pub(crate) fn refuse(&mut self, queue: &mut QueueReceiver, away: &Away) {
        let next = |queue: &mut QueueReceiver| queue.awaited_sweeps.take().or_else(|| queue.sweeps.take());
        let mut under_way = [self.current.take(), self.deferred.take()].into_iter().flatten();
        while let Some(sweep) = under_way.next().or_else(|| next(queue)) {
            sweep.end(away.error(Operation::Expire));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use idem_core::clock::Timestamp;
    use idem_core::{Key, Scope};
    use tokio::sync::oneshot;

    use super::*;
    use crate::storage::records::schema::Place;
    use crate::storage::tables::expired::FoundExpired;
    use crate::writer::queue::priority;
    use crate::writer::queue::sweep_plan::SweepPlan;

    fn plan(outcomes: u64) -> SweepPlan {
        let record = |number: u64| {
            let key = Key::new(&Scope::shared(), number.to_string()).unwrap();
            (key, Place::new(Timestamp::from_micros(number), number))
        };
        let outcomes = (0..outcomes).map(record).collect();
        SweepPlan::new(FoundExpired { outcomes, ..FoundExpired::default() }, false)
    }

    #[test]
    fn a_sweep_that_a_caller_waits_for_goes_before_the_sweepers() {
        let (sender, mut queue) = priority::queue(1);
        let (reply, mut sweeper) = oneshot::channel();
        sender.sweeps.try_send(QueuedSweep::of_sweeper(plan(30_000), reply)).unwrap();
        let mut turn = SweepProgress::default();
        let mut take_turn = |queue: &mut QueueReceiver| {
            let removed = turn.chunk(1, queue).iter().map(|step| step.records.len()).sum();
            turn.advance(&Ok(Committed { removed, ..Committed::default() }));
        };
        take_turn(&mut queue);
        for _ in 0..2 {
            let (reply, mut caller) = oneshot::channel();
            sender.awaited_sweeps.try_send(QueuedSweep::awaited(plan(300), reply)).unwrap();
            let mut turns = 0;
            while caller.try_recv().is_err() {
                take_turn(&mut queue);
                turns += 1;
            }
            assert!(turns < 100, "{turns} commits for 300 records");
        }
        assert!(sweeper.try_recv().is_err());
        // Then the sweeper's sweep continues.
        while sweeper.try_recv().is_err() {
            take_turn(&mut queue);
        }
    }
}
