//! Giving locks their notes once they are [young](crate::young_locks) no more.

use std::sync::Arc;

use idem_core::Key;
use redb::Database;

use crate::error::Failure;
use crate::full_disk::Admitted;
use crate::schema::Place;
use crate::slot::{guarded, let_go};
use crate::writer::{Writer, now};
use crate::writes::Writes;

/// How many get theirs in one commit under load: some milliseconds.
const NOTED_AT_ONCE: usize = 2_048;

impl Writer {
    /// Notes locks that are young no more, where no rest comes. In commits of its own: on a full disk it would take
    /// others along.
    pub(crate) fn note_old_locks(&mut self) {
        let now = now();
        if self.breaker.is_short() {
            return;
        }
        let old = self.shared.young().due(now, NOTED_AT_ONCE);
        if old.is_empty() {
            return;
        }
        if let Ok(database) = self.database() {
            let done = guarded(|| self.writes.note_young(&database, &old));
            let_go(database);
            self.breaker.ended(Admitted::Usual, done.as_ref().map(|()| true), now);
            self.recover(done);
        }
    }
}

impl Writes {
    /// Whether the file would be opened as one that was not closed in peace, though nobody is at work with it.
    pub(crate) fn can_note_young(&self) -> bool {
        self.books.is_incomplete() && (self.shared.young().len() > 0 || self.shared.unnoted.is_over())
    }

    /// Commits notes of locks that are young no more.
    pub(crate) fn note_young(
        &mut self,
        database: &Arc<Database>,
        young: &[(Place, Key)],
    ) -> Result<(), Failure> {
        let txn = self.begin(database)?;
        let (step, finished) = {
            let mut tables = self.tables(&txn)?;
            let mut step = self.step(&tables)?;
            step.wrote = true;
            tables.note_young(young)?;
            let finished = self.finish(&step, &mut tables)?;
            (step, finished)
        };
        self.commit(&step, finished, txn)
    }
}
