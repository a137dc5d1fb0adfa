//! The data of a broken store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use idem_core::backend::{Change, ClockMark};
use idem_core::error::Operation;
use idem_core::record::{Record, Replay};
use idem_core::{Error, ErrorKind, Key, Result};

use crate::flaw::Flaw;
use crate::tamper::half;

/// The data of the store.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    pub(crate) records: BTreeMap<Key, Record>,
    /// Every record as it was written first.
    pub(crate) first: BTreeMap<Key, Record>,
    pub(crate) corrupt: BTreeSet<Key>,
    /// Copies of what `peek` has answered, for [`Flaw::PeeksAtCopies`].
    pub(crate) peeked: BTreeMap<Key, Replay>,
    /// Where scans went on, for [`Flaw::SpendsItsCursors`].
    pub(crate) spent: BTreeSet<Key>,
    /// The time of the last write.
    pub(crate) mark: Option<ClockMark>,
    pub(crate) last_sequence: u64,
    pub(crate) is_closed: bool,
}

impl Kept {
    pub(crate) fn read(&self, flaw: Flaw, key: &Key) -> Result<Option<Record>> {
        if self.is_closed && flaw == Flaw::FailsWhenClosed {
            return Err(Error::new(ErrorKind::Unavailable, Operation::Get, "it was closed"));
        }
        match (self.corrupt.contains(key), flaw) {
            (true, Flaw::StartsAfreshWhenCorrupt) => Ok(None),
            (true, _) => Err(Error::new(ErrorKind::Corrupt, Operation::Get, "its bytes were altered")),
            (false, _) => Ok(self.records.get(key).cloned()),
        }
    }

    pub(crate) fn write(&mut self, key: &Key, change: &Change, mark: ClockMark) {
        match change {
            Change::None => return,
            Change::Put(record) => {
                self.last_sequence = self.last_sequence.max(record.token.sequence);
                self.first.entry(*key).or_insert_with(|| record.clone());
                self.records.insert(*key, record.clone());
            }
            Change::Remove => {
                self.records.remove(key);
            }
        }
        self.mark = Some(mark);
    }

    pub(crate) fn write_half(&mut self, key: &Key, change: &Change) {
        let record = match change {
            Change::None => return,
            Change::Put(record) => Some(record.clone()),
            Change::Remove => self.records.remove(key),
        };
        if let Some(record) = record {
            self.records.insert(*key, half(record));
        }
    }
}

pub(crate) fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    // A panic in another case does no harm here.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
