//! Notes of locks, and what is written down beside them.

use std::sync::{Arc, Mutex};

use idem_core::{Key, Record};
use redb::ReadableTable;

use super::{Known, Tables};
use crate::error::Failure;
use crate::held_row::HeldRow;
use crate::lock_expiry::{self, LockExpiry, NOTES};
use crate::lock_record::note_of;
use crate::mark::Mark;
use crate::note_row::NoteRow;
use crate::schema::Place;
use crate::young_locks::{YoungChanges, YoungLocks};

impl<'txn> Tables<'txn> {
    /// From now on locks that begin may be left without a note, as far as there is room among the `young` ones.
    pub(crate) fn leave_young(&mut self, young: &Arc<Mutex<YoungLocks>>) {
        self.young = YoungChanges::of(young);
    }

    /// Which were left so, and which are so no more.
    pub(crate) fn take_young(&mut self) -> YoungChanges {
        std::mem::take(&mut self.young)
    }

    pub(crate) fn has_young(&self) -> bool {
        !self.young.begun.is_empty()
    }

    /// By how much there are more notes than before the transaction.
    pub(crate) fn noted(&self) -> i64 {
        self.noted
    }

    /// Where the note of a lock that begins is, or is to be.
    pub(super) fn note(&mut self, key: &Key, record: &Record, number: u64) -> Result<Place, Failure> {
        let place = Place::new(record.expires_at(), number);
        if place < NOTES && self.young.takes(key, place) {
            return Ok(place);
        }
        self.lock_expiry().add(key, record, number)
    }

    /// Removes the note of a lock that has ended, where it has one.
    pub(super) fn remove_note(&mut self, key: &Key, note: Place) -> Result<(), Failure> {
        if self.young.ends(note) { Ok(()) } else { self.lock_expiry().remove(key, note) }
    }

    /// Notes locks that were young until now.
    pub(crate) fn note_young(&mut self, young: &[(Place, Key)]) -> Result<(), Failure> {
        for (place, key) in young {
            self.note_at(key, *place)?;
            self.young.ended.push(*place);
        }
        Ok(())
    }

    /// Notes a lock that was found without a note, if it is still there.
    pub(crate) fn note_unnoted(&mut self, key: &Key, place: Place) -> Result<(), Failure> {
        let own = self.locks.get(key.storage_key())?.and_then(|value| note_of(value.value()));
        if own == Some(place) { self.note_at(key, place) } else { Ok(()) }
    }

    fn note_at(&mut self, key: &Key, place: Place) -> Result<(), Failure> {
        if !self.lock_expiry().add_exactly(key, place)? {
            // Another's note is there. The sweep that finds this one due tells the record where its note is.
            self.lock_expiry().add_at(key, place.expires_at(), place.number())?;
        }
        Ok(())
    }

    /// How far the store had come.
    pub(crate) fn mark(&self) -> Result<Mark, Failure> {
        lock_expiry::read_mark(&self.locks)
    }

    pub(crate) fn write_mark(&mut self, mark: Mark) -> Result<(), Failure> {
        self.lock_expiry().write_mark(mark)
    }

    /// How many notes there are, in a store that had come as far as `mark`.
    pub(crate) fn note_row(&self, mark: Mark) -> Result<NoteRow, Failure> {
        lock_expiry::read_note_row(&self.locks, mark)
    }

    /// `beside` is the mark in the file.
    pub(crate) fn write_note_row(&mut self, row: NoteRow, beside: Mark) -> Result<(), Failure> {
        self.lock_expiry().write_note_row(row, beside)
    }

    /// What the scopes hold, as was written down with `mark` or is counted now.
    pub(crate) fn known(&mut self, mark: Mark) -> Result<Known, Failure> {
        if let Some(row) = lock_expiry::read_held(&self.locks)?.filter(|row| row.is_of(mark.time)) {
            let is_exact = row.is_exact && row.as_of == mark.time;
            return Ok(Known { held: row.held, is_exact, most: row.most, has_rows: false });
        }
        let counted = self.recount()?;
        Ok(Known { held: counted.held, is_exact: counted.is_exact, ..Known::default() })
    }

    pub(crate) fn write_held(&mut self, held: &HeldRow) -> Result<(), Failure> {
        self.lock_expiry().write_held(held)
    }

    pub(crate) fn remove_held(&mut self) -> Result<(), Failure> {
        self.lock_expiry().remove_held()
    }

    pub(super) fn lock_expiry(&mut self) -> LockExpiry<'_, 'txn> {
        LockExpiry { locks: &mut self.locks, noted: &mut self.noted }
    }
}
