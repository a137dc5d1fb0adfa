//! The sweep that the writer has under way: a bite of it goes into every batch.

use idem_core::Operation;

use crate::batch::Committed;
use crate::error::{Away, Failure};
use crate::priority::QueueReceiver;
use crate::sweep_plan::{QueuedSweep, SweepStep};

#[derive(Default)]
pub(crate) struct SweepTurn {
    current: Option<QueuedSweep>,
    /// Calls that were alone in their commits since the last bite. They bring records too.
    pub(crate) alone: usize,
}

impl SweepTurn {
    /// Whether there is something to sweep, now or next.
    pub(crate) fn is_under_way(&mut self, queue: &mut QueueReceiver) -> bool {
        if self.current.is_none() {
            self.current = queue.try_sweep();
        }
        self.current.is_some()
    }

    /// What goes into a batch of `calls` calls.
    pub(crate) fn bite(&mut self, calls: usize, queue: &mut QueueReceiver) -> Vec<SweepStep> {
        let calls = calls + std::mem::take(&mut self.alone);
        if !self.is_under_way(queue) {
            return Vec::new();
        }
        self.current.as_mut().map(|sweep| sweep.bite(calls)).unwrap_or_default()
    }

    /// Goes on after the batch with the bite, or answers that it failed.
    pub(crate) fn took(&mut self, done: &Result<Committed, Failure>) {
        if let Some(sweep) = self.current.take() {
            match done {
                Ok(committed) => self.current = sweep.took(committed.removed),
                Err(failure) => sweep.end(failure.to_error(Operation::Expire)),
            }
        }
    }

    /// Answers all who wait for a sweep that the database is away.
    pub(crate) fn refuse(&mut self, queue: &mut QueueReceiver, away: &Away) {
        while let Some(sweep) = self.current.take().or_else(|| queue.try_sweep()) {
            sweep.end(away.error(Operation::Expire));
        }
    }
}
