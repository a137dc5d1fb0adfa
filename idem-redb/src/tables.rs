//! The tables within a write transaction: finding a record, and moving it.

mod recount;
mod sweeping;

use idem_core::Key;
use idem_core::backend::Change;
use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::clock::Timestamp;
use idem_core::record::{Record, State};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::counting::Known;
use crate::error::Failure;
use crate::held::Changes;
use crate::held_row::HeldRow;
use crate::lazy_table::LazyTable;
use crate::lock_expiry::{self, LockExpiry};
use crate::lock_record::{note_of, read_checkpoint, read_lock, write_checkpoint, write_lock};
use crate::mark::Mark;
use crate::schema::{
    CHECKPOINTS, INDEX, INDEX_KEY_LEN, IndexKey, LOCKS, META, OUTCOMES, Place, SCHEMA_VERSION, StorageKey,
    VERSION_KEY, completed, index_key, owner_of,
};
use crate::share::LOCK;

/// What a record in the log takes beside itself: its place, there and in the index, and its key in the index.
const IN_INDEX: usize = 2 * Place::LEN + INDEX_KEY_LEN;

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
    /// By how much what scopes hold changes, where anybody counts.
    changes: Option<Changes>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            locks: txn.open_table(LOCKS)?,
            checkpoints: LazyTable::new(txn, CHECKPOINTS),
            index: LazyTable::new(txn, INDEX),
            outcomes: LazyTable::new(txn, OUTCOMES),
            changes: None,
        })
    }

    /// From now on it is counted by how much what scopes hold changes.
    pub(crate) fn count_changes(&mut self) {
        self.changes = Some(Changes::default());
    }

    /// What was counted.
    pub(crate) fn take_changes(&mut self) -> Changes {
        self.changes.take().unwrap_or_default()
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
                    let bytes = codec::encode(key, record, ChecksumScope::Whole).map_err(Failure::Record)?;
                    self.remove(key, found)?;
                    self.append(key, Place::new(completed.expires_at, number), &bytes)
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
            Some(Home::Outcome(_)) | None => {
                self.remove(key, found)?;
                self.count(key, LOCK);
                self.lock_expiry().add(key, record, number)?
            }
        };
        // Steps only rise, so the same step is the same checkpoint.
        let stored = found.and_then(|found| found.record.checkpoint()).map(|checkpoint| checkpoint.step);
        match record.checkpoint() {
            Some(checkpoint) if stored != Some(checkpoint.step) => {
                if stored.is_some() && self.changes.is_some() {
                    let before = self.checkpoints.open()?.get(key.storage_key())?;
                    let before = before.map_or(0, |value| Key::STORAGE_LEN + value.value().len());
                    self.count(key, -size(before));
                }
                let length = write_checkpoint(self.checkpoints.open()?, key, checkpoint)?;
                self.count(key, size(Key::STORAGE_LEN + length));
            }
            None if stored.is_some() => self.remove_checkpoint(key)?,
            _ => {}
        }
        write_lock(&mut self.locks, key, note, record)
    }

    /// Puts a completed `record` into the log, at `place` or behind it.
    fn append(&mut self, key: &Key, place: Place, record: &[u8]) -> Result<(), Failure> {
        let outcome = [key.storage_key(), record].concat();
        let outcomes = self.outcomes.open()?;
        let place = place.put_free(&outcome, |place, outcome| {
            let taken = outcomes.insert(place.0, outcome)?;
            Ok(taken.map(|taken| taken.value().to_vec()))
        })?;
        self.index.open()?.insert(&index_key(key), place.0)?;
        self.count(key, size(IN_INDEX + outcome.len()));
        Ok(())
    }

    fn remove(&mut self, key: &Key, found: Option<&Found>) -> Result<(), Failure> {
        match found.map(|found| (found.home, &found.record)) {
            None => {}
            Some((Home::Lock(note), record)) => {
                self.remove_lock(key)?;
                self.lock_expiry().remove(key, note)?;
                if record.checkpoint().is_some() {
                    self.remove_checkpoint(key)?;
                }
            }
            Some((Home::Outcome(place), _)) => {
                self.index.open()?.remove(&index_key(key))?;
                self.remove_from_log(key, place)?;
            }
        }
        Ok(())
    }

    fn remove_lock(&mut self, key: &Key) -> Result<bool, Failure> {
        let is_removed = self.locks.remove(key.storage_key())?.is_some();
        if is_removed {
            self.count(key, -LOCK);
        }
        Ok(is_removed)
    }

    fn remove_checkpoint(&mut self, key: &Key) -> Result<(), Failure> {
        let removed = self.checkpoints.open()?.remove(key.storage_key())?;
        if let Some(length) = removed.map(|value| value.value().len()) {
            self.count(key, -size(Key::STORAGE_LEN + length));
        }
        Ok(())
    }

    fn remove_from_log(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        let removed = self.outcomes.open()?.remove(place.0)?.map(|value| value.value().len());
        if let Some(length) = removed {
            self.count(key, -size(IN_INDEX + length));
        }
        Ok(removed.is_some())
    }

    fn count(&mut self, key: &Key, bytes: i64) {
        if let Some(changes) = &mut self.changes {
            changes.add(key.scope_prefix(), bytes);
        }
    }

    /// Removes `key` without reading its record, for an operator who gives up a damaged one.
    pub(crate) fn remove_unread(&mut self, key: &Key) -> Result<bool, Failure> {
        let locked = self.locks.remove(key.storage_key())?.map(|value| note_of(value.value()));
        if locked.is_some() {
            self.count(key, -LOCK);
        }
        if let Some(Some(note)) = locked {
            self.lock_expiry().remove(key, note)?;
        }
        self.remove_checkpoint(key)?;
        let place = self.index.open()?.remove(&index_key(key))?.map(|place| place.value());
        if let Some(place) = place {
            let is_its_own = match self.outcomes.open()?.get(place)? {
                Some(value) => owner_of(value.value()).is_ok_and(|(owner, _)| owner == *key),
                None => false,
            };
            if is_its_own {
                self.remove_from_log(key, Place(place))?;
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

    fn lock_expiry(&mut self) -> LockExpiry<'_, 'txn> {
        LockExpiry(&mut self.locks)
    }
}

/// Of so many bytes.
fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
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
