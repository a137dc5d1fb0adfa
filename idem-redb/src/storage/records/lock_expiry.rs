//! The expiry index of the locks: a note for each lock of when to check it. Behind the notes stand the scopes' usage
//! and the high-water mark.
//!
//! A note says "not before": a renewal leaves it where it is, and the sweep that finds it due checks the record and
//! moves the note on. Notes stand in the table of the locks, before all locks. A note's key is 16 zeros, a [`Place`],
//! and 16 zeros again; its value is the lock's storage key. No storage key begins like that: finding a scope whose
//! digest is all zeros means breaking BLAKE3. New notes are appended next to the mark, which every commit writes.

use std::ops::RangeInclusive;

use idem_core::Key;
use idem_core::clock::Timestamp;
use idem_core::record::Record;
use redb::{ReadableTable, Table};

use crate::error::Failure;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::schema::{Place, StorageKey, corrupt};
use crate::storage::records::usage_row::UsageRow;

/// The place of the high-water mark: behind every note.
pub(crate) const HIGH_WATER_MARK: Place = Place(u128::MAX);

/// The place of the scopes' usage: behind every note too.
pub(crate) const USAGE: Place = Place(u128::MAX - 1);

/// The key of a note, or of one of the two entries behind the notes.
pub(crate) fn note_key(note: Place) -> [u8; Key::STORAGE_LEN] {
    let mut key = [0; Key::STORAGE_LEN];
    key[16..32].copy_from_slice(&note.0.to_be_bytes());
    key
}

/// The keys of all notes that are due at `now`.
pub(crate) fn due(now: Timestamp) -> RangeInclusive<[u8; Key::STORAGE_LEN]> {
    note_key(Place(0))..=note_key(Place::last_expired(now))
}

/// The note, and the key of its lock; `None` when it is damaged.
pub(crate) fn read_note(key: &[u8; Key::STORAGE_LEN], value: &[u8]) -> Option<(Place, Key)> {
    let note = Place(u128::from_be_bytes(*key[16..].first_chunk()?));
    Some((note, Key::from_storage_key(value.try_into().ok()?)))
}

/// The store's high-water mark.
pub(crate) fn read_mark(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
) -> Result<HighWaterMark, Failure> {
    let Some(mark) = locks.get(&note_key(HIGH_WATER_MARK))? else {
        return Err(corrupt("the store's high-water mark is missing"));
    };
    HighWaterMark::from_bytes(mark.value()).ok_or_else(|| corrupt("the store's high-water mark is damaged"))
}

/// The scopes' usage. `None` where none was written, or where it is damaged: it is a protection, not a promise.
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
    /// Adds a note of when `record` expires.
    pub(crate) fn add(&mut self, key: &Key, record: &Record, number: u64) -> Result<Place, Failure> {
        self.add_at(key, record.expires_at(), number)
    }

    fn add_at(&mut self, key: &Key, at: Timestamp, number: u64) -> Result<Place, Failure> {
        Place::new(at, number).put_free(key.storage_key(), |note, value| self.insert(note, value))
    }

    /// Puts `value` at `note`; returns what was there.
    fn insert(&mut self, note: Place, value: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        if note >= USAGE {
            return Err(corrupt("there is no place left for this note"));
        }
        let taken = self.0.insert(&note_key(note), value)?;
        Ok(taken.map(|taken| taken.value().to_vec()))
    }

    /// Moves the note of `key` to `at`, whatever its record says.
    pub(crate) fn postpone(&mut self, key: &Key, note: Place, at: Timestamp) -> Result<(), Failure> {
        self.remove(key, note)?;
        self.add_at(key, at, note.number())?;
        Ok(())
    }

    /// The note of `record`, which has one at `note`: keeps that one, unless it would be due too late.
    pub(crate) fn keep_or_move(&mut self, key: &Key, record: &Record, note: Place) -> Result<Place, Failure> {
        if note.expires_at() <= record.expires_at() { Ok(note) } else { self.renew(key, record, note) }
    }

    /// Replaces the note at `note` by one of `record`.
    pub(crate) fn renew(&mut self, key: &Key, record: &Record, note: Place) -> Result<Place, Failure> {
        self.remove(key, note)?;
        self.add(key, record, note.number())
    }

    /// Whether there is a note for `key` at `note`.
    pub(crate) fn has(&self, key: &Key, note: Place) -> Result<bool, Failure> {
        Ok(note < USAGE
            && self.0.get(&note_key(note))?.is_some_and(|noted| noted.value() == key.storage_key()))
    }

    /// Removes the note at `note`, where it is one for `key`.
    pub(crate) fn remove(&mut self, key: &Key, note: Place) -> Result<(), Failure> {
        if note >= USAGE {
            return Ok(());
        }
        let removed = self.0.remove(&note_key(note))?;
        let of_another = removed.filter(|removed| removed.value() != key.storage_key());
        // A damaged record may name another lock's note.
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

    /// Removes the scopes' usage, where it is no longer counted.
    pub(crate) fn remove_usage(&mut self) -> Result<(), Failure> {
        self.0.remove(&note_key(USAGE))?;
        Ok(())
    }
}
