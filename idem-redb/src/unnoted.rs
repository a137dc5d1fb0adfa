//! Looking for locks without a note, once after an opening of a file that was not closed in peace.
//!
//! A crash forgets which locks were [young](crate::young_locks). They are decided by their own times as any other, but
//! no sweep would find them. So whoever looks up what has expired also looks at some locks each time, in the order of
//! their keys, until all of them were seen.

use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use idem_core::Key;
use redb::ReadTransaction;

use crate::error::Failure;
use crate::lock_expiry::{MARK, NOTES, is_noted, note_key, read_mark, read_note_row};
use crate::lock_record::note_of;
use crate::schema::{LOCKS, Place};

/// Whether there may be locks without a note, and how far it was looked for them.
#[derive(Debug, Default)]
pub(crate) struct Unnoted(Mutex<Search>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Search {
    at: At,
    /// How often it was begun: what was found before is of no use then.
    begun: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The file has not been asked yet.
    #[default]
    Unknown,
    /// All locks up to this row have notes, or are remembered as young.
    Row([u8; Key::STORAGE_LEN]),
    End,
}

/// What one look found.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Locks without a note, and where their notes are to be.
    pub(crate) locks: Vec<(Key, Place)>,
    pub(crate) passed: Passed,
}

/// Where a look began, and where the next one goes on: once the locks that it found have their notes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Passed(Option<(Search, At)>);

impl Unnoted {
    /// What a file says, which was opened just now.
    pub(crate) fn found(&self, is_complete: bool) {
        let mut search = self.search();
        if search.at == At::Unknown {
            search.at = first(is_complete);
        }
    }

    /// A commit failed, and may be in the file all the same.
    pub(crate) fn search_again(&self) {
        let mut search = self.search();
        *search = Search { at: first(false), begun: search.begun + 1 };
    }

    /// Another database is there: nobody knows of it yet.
    pub(crate) fn ask_again(&self) {
        let mut search = self.search();
        *search = Search { at: At::Unknown, begun: search.begun + 1 };
    }

    pub(crate) fn is_over(&self) -> bool {
        self.search().at == At::End
    }

    /// Looks at the next locks, `most` at a time.
    pub(crate) fn look(&self, txn: &ReadTransaction, most: usize) -> Result<Step, Failure> {
        let search = *self.search();
        if search.at == At::End {
            return Ok(Step::default());
        }
        let locks = txn.open_table(LOCKS)?;
        let after = match search.at {
            At::Row(row) => row,
            At::End | At::Unknown if read_note_row(&locks, read_mark(&locks)?)?.is_complete => {
                return Ok(Step { locks: Vec::new(), passed: Passed(Some((search, At::End))) });
            }
            At::End | At::Unknown => note_key(MARK),
        };
        let (mut found, mut next, mut looked) = (Vec::new(), At::End, 0);
        for entry in locks.range::<&[u8; Key::STORAGE_LEN]>((Bound::Excluded(&after), Bound::Unbounded))? {
            let (row, value) = entry?;
            let key = Key::from_storage_key(*row.value());
            // One that was brought along from version 1 unreadable never had a note, nor does it get one.
            if let Some(place) = note_of(value.value()).filter(|place| *place != Place(0) && *place < NOTES)
                && !is_noted(&locks, &key, place)?
            {
                found.push((key, place));
            }
            looked += 1;
            if looked == most {
                next = At::Row(*row.value());
                break;
            }
        }
        Ok(Step { locks: found, passed: Passed(Some((search, next))) })
    }

    /// What a look found has its notes.
    pub(crate) fn passed(&self, passed: Passed) {
        let mut search = self.search();
        if let Some((from, next)) = passed.0
            && from == *search
        {
            search.at = next;
        }
    }

    fn search(&self) -> MutexGuard<'_, Search> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first(is_complete: bool) -> At {
    if is_complete { At::End } else { At::Row(note_key(MARK)) }
}
