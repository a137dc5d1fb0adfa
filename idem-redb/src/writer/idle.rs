//! What the writer does when nothing comes for a while: what only a store at rest has time for.

use std::time::Duration;

use crate::storage::guard::{guarded, let_go};
use crate::writer::clock::now;
use crate::writer::full_disk::Admitted;
use crate::writer::worker::Writer;

/// How long nothing comes before it is done.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest {
    /// Nothing: on a full disk it would fail.
    Nothing,
    /// The file gives back what is free.
    Shrink,
    /// The mark is written, and with it what spares the next opening a repair.
    Mark,
}

impl Writer {
    /// What is to be done once nothing comes for so long.
    pub(crate) fn next_rest(&mut self) -> (Rest, Duration) {
        // However long nobody comes: the mark must not grow too old to be believed.
        let longest = self.shared.config.max_clock_jump / 4;
        if self.breaker.is_short() {
            (Rest::Nothing, longest)
        } else if self.shrinking.waits_for_rest(self.writes.usage(), now()) {
            (Rest::Shrink, REST)
        } else if self.writes.can_spare_repair() {
            (Rest::Mark, REST)
        } else {
            (Rest::Mark, longest)
        }
    }

    pub(crate) fn rest(&mut self, rest: Rest) {
        match rest {
            Rest::Nothing => {}
            Rest::Shrink => {
                self.shrinking.tried(now());
                self.shrink();
            }
            Rest::Mark => {
                if let Ok(database) = self.database() {
                    let done = guarded(|| self.writes.commit_mark(&database));
                    let_go(database);
                    // A disk that is full now is left alone until somebody calls.
                    self.breaker.ended(Admitted::Usual, done.as_ref().map(|()| true), now());
                    self.recover(done);
                }
            }
        }
    }

    /// Gives back what is free without a rest, where none comes.
    pub(crate) fn shrink_if_overdue(&mut self) {
        let now = now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + REST;
        if self.shrinking.is_overdue(self.writes.usage(), now) && !self.breaker.is_short() {
            self.shrinking.tried(now);
            self.shrink();
        }
    }
}
