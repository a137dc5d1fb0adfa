//! The tables within a write transaction: finding a record, and moving it.

use idem_core::codec::{self, Cover};
use idem_core::decide::Change;
use idem_core::{Key, Record, State, Timestamp};
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::Failure;
use crate::mark::{self, Mark};
use crate::schema::{
    AFTER_MARK, INDEX, IndexKey, LOCKS, META, OUTCOMES, Place, SCHEMA_VERSION, StorageKey, VERSION_KEY,
    completed, corrupt, index_key, locked, owner_of,
};

/// A record and where it stands.
pub(crate) struct Found {
    pub(crate) record: Record,
    place: Option<Place>,
}

/// The tables within a write transaction.
pub(crate) struct Tables<'txn> {
    locks: Table<'txn, StorageKey, &'static [u8]>,
    index: Table<'txn, IndexKey, u128>,
    outcomes: Table<'txn, u128, &'static [u8]>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            locks: txn.open_table(LOCKS)?,
            index: txn.open_table(INDEX)?,
            outcomes: txn.open_table(OUTCOMES)?,
        })
    }

    pub(crate) fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Found>, Failure> {
        find(&self.locks, &self.index, &self.outcomes, key, now)
    }

    /// Carries out `change` on `key`, which `found` is the record of.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        found: Option<&Found>,
        change: &Change,
        number: u64,
    ) -> Result<(), Failure> {
        let place = found.and_then(|found| found.place);
        match change {
            Change::None => Ok(()),
            Change::Remove => self.remove(key, place),
            Change::Put(record) => {
                let bytes = codec::encode(key, record, Cover::Whole).map_err(Failure::Record)?;
                match &record.state {
                    State::Locked(_) => {
                        if place.is_some() {
                            self.remove(key, place)?;
                        }
                        self.locks.insert(key.storage_key(), &bytes[..])?;
                        Ok(())
                    }
                    State::Completed(completed) => {
                        self.remove(key, place)?;
                        let place = self.free_place(completed.expires_at, number)?;
                        self.append(key, place, &bytes)
                    }
                }
            }
        }
    }

    /// The first place from `number` on that has no outcome, whoever put the others there.
    fn free_place(&self, expires_at: Timestamp, number: u64) -> Result<Place, Failure> {
        let mut number = Some(number);
        while let Some(free) = number {
            let place = Place::new(expires_at, free);
            if self.outcomes.get(place.0)?.is_none() {
                return Ok(place);
            }
            number = free.checked_add(1);
        }
        Err(corrupt("the log of outcomes is full"))
    }

    fn append(&mut self, key: &Key, place: Place, record: &[u8]) -> Result<(), Failure> {
        let mut value = self.outcomes.insert_reserve(place.0, Key::STORAGE_LEN + record.len())?;
        let (head, tail) = value.as_mut().split_at_mut(Key::STORAGE_LEN);
        head.copy_from_slice(key.storage_key());
        tail.copy_from_slice(record);
        drop(value);
        self.index.insert(&index_key(key), place.0)?;
        Ok(())
    }

    fn remove(&mut self, key: &Key, place: Option<Place>) -> Result<(), Failure> {
        match place {
            None => {
                self.locks.remove(key.storage_key())?;
            }
            Some(place) => {
                self.index.remove(&index_key(key))?;
                self.outcomes.remove(place.0)?;
            }
        }
        Ok(())
    }

    /// Removes what the index says of `key`, if it is still `place`.
    pub(crate) fn remove_from_index(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        let index_key = index_key(key);
        let is_its_own = self.index.get(&index_key)?.is_some_and(|indexed| indexed.value() == place.0);
        if is_its_own {
            self.index.remove(&index_key)?;
        }
        Ok(is_its_own)
    }

    /// Removes an outcome of `key`, whether the index knows it or not.
    pub(crate) fn remove_outcome(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        self.remove_from_index(key, place)?;
        Ok(self.outcomes.remove(place.0)?.is_some())
    }

    /// Removes `key` without reading its record, for an operator who gives up a damaged one.
    pub(crate) fn remove_unread(&mut self, key: &Key) -> Result<bool, Failure> {
        let locked = self.locks.remove(key.storage_key())?.is_some();
        let place = self.index.remove(&index_key(key))?.map(|place| place.value());
        if let Some(place) = place {
            let is_its_own = match self.outcomes.get(place)? {
                Some(value) => owner_of(value.value()).is_ok_and(|(owner, _)| owner == *key),
                None => false,
            };
            if is_its_own {
                self.outcomes.remove(place)?;
            }
        }
        Ok(locked || place.is_some())
    }

    pub(crate) fn write_mark(&mut self, mark: Mark) -> Result<(), Failure> {
        self.locks.insert(&mark::KEY, &mark.to_bytes()[..])?;
        Ok(())
    }

    /// How far the store had come when the mark was last written.
    pub(crate) fn written_mark(&self) -> Result<Mark, Failure> {
        let Some(mark) = self.locks.get(&mark::KEY)? else {
            return Err(corrupt("the store's high-water mark is missing"));
        };
        Mark::from_bytes(mark.value()).ok_or_else(|| corrupt("the store's high-water mark is damaged"))
    }

    /// How far the store had come: what the mark says, and what was granted since.
    pub(crate) fn mark(&self) -> Result<Mark, Failure> {
        let written = self.written_mark()?;
        let mut mark = written;
        for entry in self.locks.range::<&[u8; Key::STORAGE_LEN]>(AFTER_MARK)? {
            let (key, bytes) = entry?;
            let key = Key::from_storage_key(*key.value());
            // One that cannot be read is told to whoever asks for its key.
            if let Ok(record) = codec::decode(&key, bytes.value(), Cover::Whole, Timestamp::default()) {
                mark.raise(written, &record);
            }
        }
        Ok(mark)
    }
}

/// The schema's version, `None` where there has never been a store.
pub(crate) fn version(txn: &WriteTransaction) -> Result<Option<u64>, Failure> {
    Ok(txn.open_table(META)?.get(VERSION_KEY)?.map(|version| version.value()))
}

/// Makes the tables.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Failure> {
    txn.open_table(META)?.insert(VERSION_KEY, SCHEMA_VERSION)?;
    Tables::open(txn)?.write_mark(Mark::default())
}

fn find(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
    index: &impl ReadableTable<IndexKey, u128>,
    outcomes: &impl ReadableTable<u128, &'static [u8]>,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Found>, Failure> {
    if let Some(record) = locked(locks, key, now)? {
        return Ok(Some(Found { record, place: None }));
    }
    let Some(place) = index.get(&index_key(key))?.map(|place| Place(place.value())) else {
        return Ok(None);
    };
    let record = completed(outcomes, key, place, now)?;
    Ok(Some(Found { record, place: Some(place) }))
}
