//! The tables, and how one record is found in them and moved between them.
//!
//! - `idem/locks`: live and unfinished attempts. Small, so that the pages of a batch are few. Its first entry is
//!   the store's high-water mark: written with every commit, it would cost a page of its own elsewhere.
//! - `idem/index`: where a completed key's outcome lies.
//! - `idem/outcomes`: outcomes by (expiry, number), so that they are appended while retentions are alike, and
//!   that what has expired is a prefix: the log is its own expiry index.
//! - `idem/meta`: the schema's version.
//!
//! A key is in `locks`, or in `index` and `outcomes`, or nowhere. One transaction moves it.

use std::ops::Bound;

use idem_core::codec::{self, Cover};
use idem_core::decide::Change;
use idem_core::{Key, Record, State, Timestamp};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::error::Failure;

type StorageKey = &'static [u8; Key::STORAGE_LEN];

/// The version of the tables that this code writes, and the only one that it reads.
pub(crate) const SCHEMA_VERSION: u64 = 1;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("idem/meta");
pub(crate) const LOCKS: TableDefinition<'_, StorageKey, &[u8]> = TableDefinition::new("idem/locks");
pub(crate) const INDEX: TableDefinition<'_, StorageKey, u128> = TableDefinition::new("idem/index");
/// Key: [`Place`]. Value: storage key, then the record.
pub(crate) const OUTCOMES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("idem/outcomes");

pub(crate) const VERSION_KEY: &str = "schema version";
/// No key's digest: to find one that is all zeros is to break BLAKE3.
const MARK_KEY: [u8; Key::STORAGE_LEN] = [0; Key::STORAGE_LEN];

/// Where an outcome lies: its expiry in microseconds, then a number that makes it unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u128);

impl Place {
    fn new(expires_at: Timestamp, number: u64) -> Self {
        Self(u128::from(expires_at.as_micros()) << 64 | u128::from(number))
    }

    /// The last place that has expired at `now`.
    pub(crate) fn last_expired(now: Timestamp) -> u128 {
        Self::new(now, u64::MAX).0
    }
}

/// How far the store's time and sequences had come at the last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) time: Timestamp,
    pub(crate) sequence: u64,
}

/// A record and where it stands.
pub(crate) struct Found {
    pub(crate) record: Record,
    place: Option<Place>,
}

/// The tables within a write transaction.
pub(crate) struct Tables<'txn> {
    locks: Table<'txn, StorageKey, &'static [u8]>,
    index: Table<'txn, StorageKey, u128>,
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
                        self.append(key, Place::new(completed.expires_at, number), &bytes)
                    }
                }
            }
        }
    }

    fn append(&mut self, key: &Key, place: Place, record: &[u8]) -> Result<(), Failure> {
        let mut value = self.outcomes.insert_reserve(place.0, Key::STORAGE_LEN + record.len())?;
        let (head, tail) = value.as_mut().split_at_mut(Key::STORAGE_LEN);
        head.copy_from_slice(key.storage_key());
        tail.copy_from_slice(record);
        drop(value);
        self.index.insert(key.storage_key(), place.0)?;
        Ok(())
    }

    fn remove(&mut self, key: &Key, place: Option<Place>) -> Result<(), Failure> {
        match place {
            None => {
                self.locks.remove(key.storage_key())?;
            }
            Some(place) => {
                self.index.remove(key.storage_key())?;
                self.outcomes.remove(place.0)?;
            }
        }
        Ok(())
    }

    /// Removes `key` without reading its record, for an operator who gives up a damaged one.
    pub(crate) fn remove_unread(&mut self, key: &Key) -> Result<bool, Failure> {
        let locked = self.locks.remove(key.storage_key())?.is_some();
        let place = self.index.remove(key.storage_key())?.map(|place| place.value());
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
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&mark.time.as_micros().to_be_bytes());
        bytes[8..16].copy_from_slice(&mark.sequence.to_be_bytes());
        let checksum = codec::checksum(&Key::from_storage_key(MARK_KEY), &bytes[..16]);
        bytes[16..].copy_from_slice(&checksum.to_be_bytes());
        self.locks.insert(&MARK_KEY, &bytes[..])?;
        Ok(())
    }

    /// Checked like a record: a time in the far future would let everything expire.
    pub(crate) fn mark(&self) -> Result<Mark, Failure> {
        let Some(bytes) = self.locks.get(&MARK_KEY)? else {
            return Err(corrupt("the store's high-water mark is missing"));
        };
        let Ok([time, sequence, checksum]) = <[[u8; 8]; 3]>::try_from(bytes.value().as_chunks().0) else {
            return Err(corrupt("the store's high-water mark is not one"));
        };
        if u64::from_be_bytes(checksum)
            != codec::checksum(&Key::from_storage_key(MARK_KEY), &bytes.value()[..16])
        {
            return Err(corrupt("the checksum of the store's high-water mark does not match"));
        }
        Ok(Mark {
            time: Timestamp::from_micros(u64::from_be_bytes(time)),
            sequence: u64::from_be_bytes(sequence),
        })
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

/// The tables at one moment, for reading.
pub(crate) struct Snapshot {
    locks: ReadOnlyTable<StorageKey, &'static [u8]>,
    index: ReadOnlyTable<StorageKey, u128>,
    outcomes: ReadOnlyTable<u128, &'static [u8]>,
}

impl Snapshot {
    pub(crate) fn open(txn: &ReadTransaction) -> Result<Self, Failure> {
        Ok(Self {
            locks: txn.open_table(LOCKS)?,
            index: txn.open_table(INDEX)?,
            outcomes: txn.open_table(OUTCOMES)?,
        })
    }

    /// The record of `key`, expired or not.
    pub(crate) fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, Failure> {
        // Replays first: they are what is asked for most.
        match self.index.get(key.storage_key())? {
            Some(place) => completed(&self.outcomes, key, Place(place.value()), now).map(Some),
            None => locked(&self.locks, key, now),
        }
    }
}

/// The keys of expired records, at most `limit` of them: completed ones first, they are found in order.
pub(crate) fn expired(txn: &ReadTransaction, now: Timestamp, limit: usize) -> Result<Vec<Key>, Failure> {
    let mut keys = Vec::new();
    for entry in txn.open_table(OUTCOMES)?.range(..=Place::last_expired(now))? {
        if keys.len() >= limit {
            return Ok(keys);
        }
        // What cannot be read is passed over, or the sweep would come back to it for ever.
        let (_, value) = entry?;
        if let Ok((key, record)) = owner_of(value.value())
            && codec::decode(&key, record, Cover::Whole, now).is_ok()
        {
            keys.push(key);
        }
    }
    let locks: ReadOnlyTable<StorageKey, &[u8]> = txn.open_table(LOCKS)?;
    for entry in locks.range::<&[u8; Key::STORAGE_LEN]>((Bound::Excluded(&MARK_KEY), Bound::Unbounded))? {
        if keys.len() >= limit {
            break;
        }
        let (key, bytes) = entry?;
        let key = Key::from_storage_key(*key.value());
        if codec::decode(&key, bytes.value(), Cover::Whole, now).is_ok_and(|record| record.is_expired(now)) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn find(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
    index: &impl ReadableTable<StorageKey, u128>,
    outcomes: &impl ReadableTable<u128, &'static [u8]>,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Found>, Failure> {
    if let Some(record) = locked(locks, key, now)? {
        return Ok(Some(Found { record, place: None }));
    }
    let Some(place) = index.get(key.storage_key())?.map(|place| Place(place.value())) else {
        return Ok(None);
    };
    let record = completed(outcomes, key, place, now)?;
    Ok(Some(Found { record, place: Some(place) }))
}

fn locked(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Record>, Failure> {
    let Some(bytes) = locks.get(key.storage_key())? else { return Ok(None) };
    codec::decode(key, bytes.value(), Cover::Whole, now).map(Some).map_err(Failure::Record)
}

fn completed(
    outcomes: &impl ReadableTable<u128, &'static [u8]>,
    key: &Key,
    place: Place,
    now: Timestamp,
) -> Result<Record, Failure> {
    let Some(value) = outcomes.get(place.0)? else {
        return Err(corrupt("the index names an outcome that is not there"));
    };
    let (owner, record) = owner_of(value.value())?;
    if owner != *key {
        return Err(corrupt("the index names the outcome of another key"));
    }
    codec::decode(key, record, Cover::Whole, now).map_err(Failure::Record)
}

fn owner_of(value: &[u8]) -> Result<(Key, &[u8]), Failure> {
    match value.split_first_chunk::<{ Key::STORAGE_LEN }>() {
        Some((key, record)) => Ok((Key::from_storage_key(*key), record)),
        None => Err(corrupt("an outcome is too short to name its key")),
    }
}

fn corrupt(message: &str) -> Failure {
    use idem_core::{Error, ErrorKind, Operation};
    Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Get, message))
}
