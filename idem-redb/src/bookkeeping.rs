//! What commits tell beside their records: how far the store has come, and how many notes there are.

use std::time::Duration;

use crate::error::Failure;
use crate::mark::Mark;
use crate::note_row::NoteRow;
use crate::tables::Tables;

/// What the file says of it, as far as this store knows.
#[derive(Debug, Default)]
pub(crate) struct Bookkeeping {
    /// How far ahead the mark is written. `None` where another store on the same database reads it at each step, and
    /// would be ahead of it in turn.
    reservation: Option<Duration>,
    /// The mark in the file, while a commit need not write it.
    mark: Option<Mark>,
    /// The furthest mark that this store may have written.
    furthest: Mark,
    /// `None`: the file has to be asked.
    notes: Option<NoteRow>,
}

/// What was written, and is so once it is committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Booked {
    mark: Mark,
    notes: NoteRow,
}

impl Bookkeeping {
    /// Of a database that nobody else writes to.
    pub(crate) fn alone(reservation: Duration) -> Self {
        Self { reservation: Some(reservation), ..Self::default() }
    }

    /// Of a database that other stores may write to.
    pub(crate) fn beside_others() -> Self {
        Self::default()
    }

    /// What the file says of the notes, where this store did not know.
    pub(crate) fn look(&mut self, tables: &Tables<'_>) -> Result<Option<NoteRow>, Failure> {
        if self.reservation.is_some() && self.notes.is_some() {
            return Ok(None);
        }
        let found = tables.note_row(tables.mark()?)?;
        self.notes = Some(found);
        Ok(Some(found))
    }

    /// Whether there may be locks without a note.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.notes.is_some_and(|notes| !notes.is_complete)
    }

    /// Whether a mark that was found in the file is one that this store has written itself.
    pub(crate) fn is_own(&self, mark: Mark) -> bool {
        self.furthest.covers(mark)
    }

    /// Writes what a commit at `exact` has to tell.
    pub(crate) fn write(&mut self, tables: &mut Tables<'_>, exact: Mark) -> Result<Booked, Failure> {
        let before = self.known(tables)?;
        let notes = before.after(tables.noted(), tables.has_young());
        if let Some(mark) = self.mark.filter(|mark| mark.covers(exact)) {
            if notes != before {
                tables.write_note_row(notes, mark)?;
            }
            return Ok(Booked { mark, notes });
        }
        let mark = self.reservation.map_or(exact, |length| exact.ahead_by(length));
        self.write_both(tables, mark, notes)
    }

    /// Writes that the store is at `exact`, and whether each lock has its note.
    pub(crate) fn write_exact(
        &mut self,
        tables: &mut Tables<'_>,
        exact: Mark,
        is_complete: bool,
    ) -> Result<Booked, Failure> {
        let notes = self.known(tables)?.after(tables.noted(), tables.has_young());
        let is_complete = notes.is_complete || (is_complete && !tables.has_young());
        self.write_both(tables, exact, NoteRow { is_complete, ..notes })
    }

    fn known(&mut self, tables: &Tables<'_>) -> Result<NoteRow, Failure> {
        match self.notes {
            Some(notes) => Ok(notes),
            None => tables.note_row(tables.mark()?),
        }
    }

    fn write_both(&mut self, tables: &mut Tables<'_>, mark: Mark, notes: NoteRow) -> Result<Booked, Failure> {
        tables.write_mark(mark)?;
        tables.write_note_row(notes, mark)?;
        if self.reservation.is_some() {
            self.furthest = self.furthest.furthest(mark);
        }
        Ok(Booked { mark, notes })
    }

    /// A commit was begun: when it fails, it may be in the file all the same.
    pub(crate) fn forget(&mut self) {
        (self.mark, self.notes) = (None, None);
    }

    pub(crate) fn committed(&mut self, booked: Booked) {
        self.mark = self.reservation.map(|_| booked.mark);
        self.notes = Some(booked.notes);
    }

    /// The same of an exact mark. The next commit writes one ahead: what was said to be so at this one is no more.
    pub(crate) fn committed_exactly(&mut self, booked: Booked) {
        self.committed(booked);
        self.mark = None;
    }
}
