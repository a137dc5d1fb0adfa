//! A queued sweep: its plan, and who waits for it.

use super::message::{Reply, send};
use super::sweep_plan::{SweepPlan, SweepStep};

/// A sweep that is queued, or in progress.
#[derive(Debug)]
pub(crate) struct QueuedSweep {
    pub(crate) plan: SweepPlan,
    removed: usize,
    /// Whether a caller waits for it, rather than the background sweeper.
    pub(crate) is_awaited: bool,
    /// Receives how many records were removed, once the whole plan is done.
    reply: Reply<usize>,
}

impl QueuedSweep {
    pub(crate) fn of_sweeper(plan: SweepPlan, reply: Reply<usize>) -> Self {
        Self { plan, removed: 0, is_awaited: false, reply }
    }

    pub(crate) fn awaited(plan: SweepPlan, reply: Reply<usize>) -> Self {
        Self { plan, removed: 0, is_awaited: true, reply }
    }

    /// The chunk for a commit beside `calls` calls; empty once no caller waits for the sweep.
    pub(crate) fn chunk(&mut self, calls: usize) -> Vec<SweepStep> {
        if self.reply.is_closed() {
            self.plan = SweepPlan::default();
        }
        self.plan.chunk(calls)
    }

    /// Advances after a chunk that removed `removed` records; `None` once the sweep is done and answered.
    pub(crate) fn advance(mut self, removed: usize) -> Option<Self> {
        self.removed += removed;
        if !self.plan.is_done() {
            return Some(self);
        }
        send(self.reply, Ok(self.removed));
        None
    }

    pub(crate) fn end(self, why: idem_core::Error) {
        send(self.reply, Err(why));
    }
}
