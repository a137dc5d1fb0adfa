//! A sweep's plan on its way through the writer.

use super::message::{Reply, send};
use super::sweep_plan::{SweepPlan, SweepStep};

/// A plan on its way through the writer.
#[derive(Debug)]
pub(crate) struct QueuedSweep {
    pub(crate) plan: SweepPlan,
    removed: usize,
    /// Whether a caller waits for it, and not the sweeper.
    pub(crate) is_awaited: bool,
    /// How many records were removed, once all of the plan is done.
    reply: Reply<usize>,
}

impl QueuedSweep {
    pub(crate) fn of_sweeper(plan: SweepPlan, reply: Reply<usize>) -> Self {
        Self { plan, removed: 0, is_awaited: false, reply }
    }

    pub(crate) fn awaited(plan: SweepPlan, reply: Reply<usize>) -> Self {
        Self { plan, removed: 0, is_awaited: true, reply }
    }

    /// What goes into a commit beside `calls` calls; nothing once nobody waits for the sweep.
    pub(crate) fn chunk(&mut self, calls: usize) -> Vec<SweepStep> {
        if self.reply.is_closed() {
            self.plan = SweepPlan::default();
        }
        self.plan.chunk(calls)
    }

    /// Goes on after a bite that removed so many records; `None` once it is done and answered.
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
