//! The expiry index of the locks: notes of when to look at each, and behind them what the scopes hold, and the mark.
//!
//! A note says "not before": a renewal leaves it where it is, and the sweep that finds it due looks at the record and
//! moves it on. Notes stand in the table of the locks, before all of these: keys of 16 zeros, a [`Place`], and 16
//! zeros again, and the lock's storage key as the value. No storage key begins so: to find a scope whose digest is all
//! zeros is to break BLAKE3. New notes are appended next to the mark, which every commit writes.

use std::ops::RangeInclusive;

use idem_core::Key;
use idem_core::clock::Timestamp;
use idem_core::record::Record;
use redb::{ReadableTable, Table};

use crate::error::Failure;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::schema::{Place, StorageKey, corrupt};
use crate::storage::records::usage_row::UsageRow;

/// Where the mark is: behind every note.
pub(crate) const HIGH_WATER_MARK: Place = Place(u128::MAX);

/// Where it is written down what the scopes hold: behind every note too.
pub(crate) const USAGE: Place = Place(u128::MAX - 1);

/// The key of a note, or of what is behind them.
pub(crate) fn note_key(note: Place) -> [u8; Key::STORAGE_LEN] {
    let mut key = [0; Key::STORAGE_LEN];
    key[16..32].copy_from_slice(&note.0.to_be_bytes());
    key
}

/// The keys of all notes that are due at `now`.
pub(crate) fn due(now: Timestamp) -> RangeInclusive<[u8; Key::STORAGE_LEN]> {
    note_key(Place(0))..=note_key(Place::last_expired(now))
}

/// The note, and the key of the lock that it is for; `None`: it is damaged.
pub(crate) fn read_note(key: &[u8; Key::STORAGE_LEN], value: &[u8]) -> Option<(Place, Key)> {
    let note = Place(u128::from_be_bytes(*key[16..].first_chunk()?));
    Some((note, Key::from_storage_key(value.try_into().ok()?)))
}

/// How far the store had come.
pub(crate) fn read_mark(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
) -> Result<HighWaterMark, Failure> {
    let Some(mark) = locks.get(&note_key(HIGH_WATER_MARK))? else {
        return Err(corrupt("the store's high-water mark is missing"));
    };
    HighWaterMark::from_bytes(mark.value()).ok_or_else(|| corrupt("the store's high-water mark is damaged"))
}

/// What the scopes held. `None` where nothing was written, or it is damaged: it is a protection and no promise.
pub(crate) fn read_usage(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
) -> Result<Option<UsageRow>, Failure> {
    let Some(usage) = locks.get(&note_key(USAGE))? else { return Ok(None) };
    let read = UsageRow::from_bytes(usage.value());
    if read.is_none() {
        tracing::warn!(
            "what the scopes hold of the store is damaged in the file; it is counted anew from here"
        );
    }
    Ok(read)
}

/// The expiry index within a write transaction.
pub(crate) struct LockExpiry<'table, 'txn>(pub(crate) &'table mut Table<'txn, StorageKey, &'static [u8]>);

impl LockExpiry<'_, '_> {
    /// Notes when `record` expires.
    pub(crate) fn add(&mut self, key: &Key, record: &Record, number: u64) -> Result<Place, Failure> {
        self.add_at(key, record.expires_at(), number)
    }

    fn add_at(&mut self, key: &Key, at: Timestamp, number: u64) -> Result<Place, Failure> {
        Place::new(at, number).put_free(key.storage_key(), |note, value| self.insert(note, value))
    }

    /// Puts `value` at `note`; answers what was there.
    fn insert(&mut self, note: Place, value: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        if note >= USAGE {
            return Err(corrupt("there is no place left for this note"));
        }
        let taken = self.0.insert(&note_key(note), value)?;
        Ok(taken.map(|taken| taken.value().to_vec()))
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

    /// Whether there is a note for `key` at `note`.
    pub(crate) fn has(&self, key: &Key, note: Place) -> Result<bool, Failure> {
        Ok(note < USAGE
            && self.0.get(&note_key(note))?.is_some_and(|noted| noted.value() == key.storage_key()))
    }

    /// Removes the note at `note`, where it is for `key`.
    pub(crate) fn remove(&mut self, key: &Key, note: Place) -> Result<(), Failure> {
        if note >= USAGE {
            return Ok(());
        }
        let removed = self.0.remove(&note_key(note))?;
        let of_another = removed.filter(|removed| removed.value() != key.storage_key());
        // A damaged record may name another one's.
        if let Some(of_another) = of_another.map(|removed| removed.value().to_vec()) {
            self.insert(note, &of_another)?;
        }
        Ok(())
    }

    pub(crate) fn write_mark(&mut self, mark: HighWaterMark) -> Result<(), Failure> {
        self.0.insert(&note_key(HIGH_WATER_MARK), &mark.to_bytes()[..])?;
        Ok(())
    }

    pub(crate) fn write_usage(&mut self, usage: &UsageRow) -> Result<(), Failure> {
        self.0.insert(&note_key(USAGE), &usage.to_bytes()[..])?;
        Ok(())
    }

    /// Forgets what the scopes hold, where nobody counts any more.
    pub(crate) fn remove_usage(&mut self) -> Result<(), Failure> {
        self.0.remove(&note_key(USAGE))?;
        Ok(())
    }
}
