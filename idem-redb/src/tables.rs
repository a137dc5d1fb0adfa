//! The tables within a write transaction: finding a record, and moving it.

use std::time::Duration;

use idem_core::codec::{self, Cover};
use idem_core::decide::Change;
use idem_core::{Key, Record, State, Timestamp};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::Failure;
use crate::lazy_table::LazyTable;
use crate::lock_expiry::{self, LockExpiry};
use crate::lock_record::{note_of, read_checkpoint, read_lock, write_checkpoint, write_lock};
use crate::mark::Mark;
use crate::schema::{
    CHECKPOINTS, INDEX, IndexKey, LOCKS, META, OUTCOMES, Place, SCHEMA_VERSION, StorageKey, VERSION_KEY,
    completed, index_key, owner_of,
};

/// How long a sweep leaves a lock alone that it could not read: somebody may mend the file, or remove the key.
const UNREADABLE_FOR: Duration = Duration::from_hours(24);

/// A record and where it stands.
pub(crate) struct Found {
    pub(crate) record: Record,
    home: Home,
}

#[derive(Clone, Copy)]
enum Home {
    /// Among the locks, with a note.
    Lock(Place),
    /// In the log of outcomes.
    Outcome(Place),
}

/// The tables within a write transaction.
pub(crate) struct Tables<'txn> {
    /// The one that every commit writes to: the mark is there.
    locks: Table<'txn, StorageKey, &'static [u8]>,
    checkpoints: LazyTable<'txn, StorageKey, &'static [u8]>,
    index: LazyTable<'txn, IndexKey, u128>,
    outcomes: LazyTable<'txn, u128, &'static [u8]>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            locks: txn.open_table(LOCKS)?,
            checkpoints: LazyTable::new(txn, CHECKPOINTS),
            index: LazyTable::new(txn, INDEX),
            outcomes: LazyTable::new(txn, OUTCOMES),
        })
    }

    /// The record of `key`; of a checkpoint the step alone, which is all that a holder's call is decided by.
    pub(crate) fn load(&mut self, key: &Key, now: Timestamp) -> Result<Option<Found>, Failure> {
        if let Some((note, record)) = read_lock(&self.locks, key, now)? {
            return Ok(Some(Found { record, home: Home::Lock(note) }));
        }
        let Some(place) = self.index.open()?.get(&index_key(key))?.map(|place| Place(place.value())) else {
            return Ok(None);
        };
        let record = completed(self.outcomes.open()?, key, place, now)?;
        Ok(Some(Found { record, home: Home::Outcome(place) }))
    }

    /// The record of `key`, with the bytes of its checkpoint unless it has expired.
    pub(crate) fn load_with_checkpoint(
        &mut self,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Found>, Failure> {
        let mut found = self.load(key, now)?;
        if let Some(found) = found.as_mut().filter(|found| !found.record.is_expired(now)) {
            read_checkpoint(self.checkpoints.open()?, key, &mut found.record)?;
        }
        Ok(found)
    }

    /// Carries out `change` on `key`, which `found` is the record of.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        found: Option<&Found>,
        change: &Change,
        number: u64,
    ) -> Result<(), Failure> {
        match change {
            Change::None => Ok(()),
            Change::Remove => self.remove(key, found),
            Change::Put(record) => match &record.state {
                State::Locked(_) => self.put_lock(key, found, record, number),
                State::Completed(completed) => {
                    let bytes = codec::encode(key, record, Cover::Whole).map_err(Failure::Record)?;
                    self.remove(key, found)?;
                    let outcomes = self.outcomes.open()?;
                    let place = Place::free(completed.expires_at, number, |place| {
                        Ok(outcomes.get(place.0)?.is_some())
                    })?;
                    self.append(key, place, &bytes)
                }
            },
        }
    }

    fn put_lock(
        &mut self,
        key: &Key,
        found: Option<&Found>,
        record: &Record,
        number: u64,
    ) -> Result<(), Failure> {
        let note = match found.map(|found| found.home) {
            Some(Home::Lock(note)) => self.lock_expiry().keep_or_move(key, record, note)?,
            Some(Home::Outcome(_)) => {
                self.remove(key, found)?;
                self.lock_expiry().add(key, record, number)?
            }
            None => self.lock_expiry().add(key, record, number)?,
        };
        // Steps only rise, so the same step is the same checkpoint.
        let stored = found.and_then(|found| found.record.checkpoint()).map(|checkpoint| checkpoint.step);
        match record.checkpoint() {
            Some(checkpoint) if stored != Some(checkpoint.step) => {
                write_checkpoint(self.checkpoints.open()?, key, checkpoint)?;
            }
            None if stored.is_some() => drop(self.checkpoints.open()?.remove(key.storage_key())?),
            _ => {}
        }
        write_lock(&mut self.locks, key, note, record)
    }

    fn append(&mut self, key: &Key, place: Place, record: &[u8]) -> Result<(), Failure> {
        let mut value = self.outcomes.open()?.insert_reserve(place.0, Key::STORAGE_LEN + record.len())?;
        let (head, tail) = value.as_mut().split_at_mut(Key::STORAGE_LEN);
        head.copy_from_slice(key.storage_key());
        tail.copy_from_slice(record);
        drop(value);
        self.index.open()?.insert(&index_key(key), place.0)?;
        Ok(())
    }

    fn remove(&mut self, key: &Key, found: Option<&Found>) -> Result<(), Failure> {
        match found.map(|found| (found.home, &found.record)) {
            None => {}
            Some((Home::Lock(note), record)) => {
                self.locks.remove(key.storage_key())?;
                self.lock_expiry().remove(key, note)?;
                if record.checkpoint().is_some() {
                    self.checkpoints.open()?.remove(key.storage_key())?;
                }
            }
            Some((Home::Outcome(place), _)) => {
                self.index.open()?.remove(&index_key(key))?;
                self.outcomes.open()?.remove(place.0)?;
            }
        }
        Ok(())
    }

    /// Removes `key` without reading its record, for an operator who gives up a damaged one.
    pub(crate) fn remove_unread(&mut self, key: &Key) -> Result<bool, Failure> {
        let locked = self.locks.remove(key.storage_key())?.map(|value| note_of(value.value()));
        if let Some(Some(note)) = locked {
            self.lock_expiry().remove(key, note)?;
        }
        self.checkpoints.open()?.remove(key.storage_key())?;
        let place = self.index.open()?.remove(&index_key(key))?.map(|place| place.value());
        if let Some(place) = place {
            let is_its_own = match self.outcomes.open()?.get(place)? {
                Some(value) => owner_of(value.value()).is_ok_and(|(owner, _)| owner == *key),
                None => false,
            };
            if is_its_own {
                self.outcomes.open()?.remove(place)?;
            }
        }
        Ok(locked.is_some() || place.is_some())
    }

    pub(crate) fn write_mark(&mut self, mark: Mark) -> Result<(), Failure> {
        self.lock_expiry().write_mark(mark)
    }

    /// How far the store had come.
    pub(crate) fn mark(&self) -> Result<Mark, Failure> {
        lock_expiry::read_mark(&self.locks)
    }

    fn lock_expiry(&mut self) -> LockExpiry<'_, 'txn> {
        LockExpiry(&mut self.locks)
    }
}

/// What a sweep does.
impl Tables<'_> {
    /// Removes what the index says of `key`, if it is still `place`.
    pub(crate) fn remove_from_index(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        let index_key = index_key(key);
        let is_its_own =
            self.index.open()?.get(&index_key)?.is_some_and(|indexed| indexed.value() == place.0);
        if is_its_own {
            self.index.open()?.remove(&index_key)?;
        }
        Ok(is_its_own)
    }

    /// Removes an outcome of `key`, whether the index knows it or not.
    pub(crate) fn remove_outcome(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        self.remove_from_index(key, place)?;
        Ok(self.outcomes.open()?.remove(place.0)?.is_some())
    }

    /// Removes the lock of `key` if it has expired, and leaves its note, whose turn comes afterwards.
    pub(crate) fn remove_expired_lock(&mut self, key: &Key, now: Timestamp) -> Result<bool, Failure> {
        let Some((_, record)) = readable(read_lock(&self.locks, key, now))?.flatten() else {
            return Ok(false);
        };
        if !record.is_expired(now) {
            return Ok(false);
        }
        if record.checkpoint().is_some() {
            self.checkpoints.open()?.remove(key.storage_key())?;
        }
        Ok(self.locks.remove(key.storage_key())?.is_some())
    }

    /// Looks at the lock of `key`, of which the note at `note` is due: removes it if it has expired (true), and
    /// else notes when to look again.
    pub(crate) fn settle(&mut self, key: &Key, note: Place, now: Timestamp) -> Result<bool, Failure> {
        if !self.lock_expiry().has(key, note)? {
            return Ok(false);
        }
        match readable(read_lock(&self.locks, key, now))? {
            None => self.lock_expiry().postpone(key, note, now + UNREADABLE_FOR)?,
            Some(None) => self.lock_expiry().remove(key, note)?,
            Some(Some((own, record))) if record.is_expired(now) => {
                self.lock_expiry().remove(key, note)?;
                self.remove(key, Some(&Found { record, home: Home::Lock(own) }))?;
                return Ok(true);
            }
            // It was locked anew after its lock was removed.
            Some(Some((own, _))) if own != note && self.lock_expiry().has(key, own)? => {
                self.lock_expiry().remove(key, note)?;
            }
            Some(Some((_, record))) => {
                let note = self.lock_expiry().renew(key, &record, note)?;
                write_lock(&mut self.locks, key, note, &record)?;
            }
        }
        Ok(false)
    }
}

/// `None`: it is this record that cannot be read.
fn readable<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Failure::Record(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The schema's version, `None` where there has never been a store.
pub(crate) fn version(txn: &WriteTransaction) -> Result<Option<u64>, Failure> {
    Ok(txn.open_table(META)?.get(VERSION_KEY)?.map(|version| version.value()))
}

/// Says that the tables are of this version.
pub(crate) fn write_version(txn: &WriteTransaction) -> Result<(), Failure> {
    txn.open_table(META)?.insert(VERSION_KEY, SCHEMA_VERSION)?;
    Ok(())
}

/// Makes the tables.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Failure> {
    write_version(txn)?;
    let mut tables = Tables::open(txn)?;
    tables.checkpoints.open()?;
    tables.index.open()?;
    tables.outcomes.open()?;
    tables.write_mark(Mark::default())
}
