//! What the writer does once it is idle.

use std::time::Duration;

use crate::storage::guard::{drop_guarded, guarded};
use crate::writer::clock::now;
use crate::writer::full_disk::parts::Admitted;
use crate::writer::worker::Writer;

/// How long no message comes before the writer counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(crate) enum IdleTask {
    /// Nothing: a write would fail on a full disk.
    Nothing,
    /// Shrink the file.
    Shrink,
    /// Commit the high-water mark with quick repair, which spares the next opening a repair.
    CommitMark,
}

impl Writer {
    /// The next task, and after how long without a message it is due.
    pub(crate) fn next_idle_task(&mut self) -> (IdleTask, Duration) {
        // However long no call comes, the mark must not become too old to be valid.
        let longest = self.state.config.max_clock_jump / 4;
        if self.breaker.is_short() {
            (IdleTask::Nothing, longest)
        } else if self.shrinking.waits_for_idle(self.transactions.file_usage(), now()) {
            (IdleTask::Shrink, IDLE_AFTER)
        } else if self.transactions.needs_repair_record() {
            (IdleTask::CommitMark, IDLE_AFTER)
        } else {
            (IdleTask::CommitMark, longest)
        }
    }

    pub(crate) fn run_idle_task(&mut self, run_idle_task: IdleTask) {
        match run_idle_task {
            IdleTask::Nothing => {}
            IdleTask::Shrink => {
                self.shrinking.tried(now());
                self.shrink();
            }
            IdleTask::CommitMark => {
                if let Ok(database) = self.database() {
                    let done = guarded(|| self.transactions.commit_mark(&database));
                    drop_guarded(database);
                    // A disk that is full now is left alone until the next call.
                    self.breaker.ended(Admitted::Usual, done.as_ref().map(|()| true), now());
                    self.recover(done);
                }
            }
        }
    }

    /// Shrinks the file under load, where no idle moment comes.
    pub(crate) fn shrink_if_overdue(&mut self) {
        let now = now();
        if now < self.next_shrink_check {
            return;
        }
        self.next_shrink_check = now + IDLE_AFTER;
        if self.shrinking.is_overdue(self.transactions.file_usage(), now) && !self.breaker.is_short() {
            self.shrinking.tried(now);
            self.shrink();
        }
    }
}
