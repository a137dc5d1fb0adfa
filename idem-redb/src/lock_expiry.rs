//! The expiry index of the locks within a write transaction, and the mark at its end.

use idem_core::{Key, Record, Timestamp};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::Failure;
use crate::mark::{self, Mark};
use crate::schema::{LOCK_EXPIRY, Place, StorageKey, corrupt};

/// Notes of when to look at a lock: not before its expiry when the note was made. Renewals leave notes as they are.
pub(crate) struct LockExpiry<'txn>(Table<'txn, u128, StorageKey>);

impl<'txn> LockExpiry<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction) -> Result<Self, Failure> {
        Ok(Self(txn.open_table(LOCK_EXPIRY)?))
    }

    /// Notes when `record` expires.
    pub(crate) fn add(&mut self, key: &Key, record: &Record, number: u64) -> Result<Place, Failure> {
        self.add_at(key, record.expires_at(), number)
    }

    fn add_at(&mut self, key: &Key, at: Timestamp, number: u64) -> Result<Place, Failure> {
        let note = Place::free(&self.0, at, number)?;
        self.0.insert(note.0, key.storage_key())?;
        Ok(note)
    }

    /// Lets the lock of `key` be looked at again at `at`, whatever its record says.
    pub(crate) fn postpone(&mut self, key: &Key, note: Place, at: Timestamp) -> Result<(), Failure> {
        self.remove(key, note)?;
        self.add_at(key, at, note.number())?;
        Ok(())
    }

    /// The note for `record` when there is one at `note`: that one, unless it would be looked at too late.
    pub(crate) fn keep_or_move(&mut self, key: &Key, record: &Record, note: Place) -> Result<Place, Failure> {
        if note.expires_at() <= record.expires_at() { Ok(note) } else { self.renew(key, record, note) }
    }

    /// Puts a note of `record` in the place of the one at `note`.
    pub(crate) fn renew(&mut self, key: &Key, record: &Record, note: Place) -> Result<Place, Failure> {
        self.remove(key, note)?;
        self.add(key, record, note.number())
    }

    /// Whether there is a note for `key` at `note`: a damaged record may name another one's.
    pub(crate) fn has(&self, key: &Key, note: Place) -> Result<bool, Failure> {
        Ok(note.0 != mark::PLACE
            && self.0.get(note.0)?.is_some_and(|noted| noted.value() == key.storage_key()))
    }

    /// Removes the note at `note`, where it is for `key`.
    pub(crate) fn remove(&mut self, key: &Key, note: Place) -> Result<(), Failure> {
        if self.has(key, note)? {
            self.0.remove(note.0)?;
        }
        Ok(())
    }

    pub(crate) fn write_mark(&mut self, mark: Mark) -> Result<(), Failure> {
        self.0.insert(mark::PLACE, &mark.to_bytes())?;
        Ok(())
    }

    pub(crate) fn mark(&self) -> Result<Mark, Failure> {
        let Some(mark) = self.0.get(mark::PLACE)? else {
            return Err(corrupt("the store's high-water mark is missing"));
        };
        Mark::from_bytes(mark.value()).ok_or_else(|| corrupt("the store's high-water mark is damaged"))
    }
}
