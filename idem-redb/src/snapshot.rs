//! The tables as they were committed, for reading.

use idem_core::codec::{self, Cover};
use idem_core::{Key, Record, Timestamp};
use redb::{ReadOnlyTable, ReadTransaction};

use crate::error::Failure;
use crate::schema::{
    AFTER_MARK, INDEX, IndexKey, LOCKS, OUTCOMES, Place, StorageKey, completed, index_key, locked, owner_of,
};

/// The tables at one moment, for reading.
pub(crate) struct Snapshot {
    locks: ReadOnlyTable<StorageKey, &'static [u8]>,
    index: ReadOnlyTable<IndexKey, u128>,
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
        match self.index.get(&index_key(key))? {
            Some(place) => completed(&self.outcomes, key, Place(place.value()), now).map(Some),
            None => locked(&self.locks, key, now),
        }
    }
}

/// Expired records, for a sweep.
#[derive(Debug, Default)]
pub(crate) struct FoundExpired {
    /// Completed ones, in the order of their expiry.
    pub(crate) completed: Vec<(Key, Place)>,
    /// Unfinished attempts.
    pub(crate) locked: Vec<Key>,
}

/// At most `limit` expired records: completed ones first, they are found in order.
pub(crate) fn expired(txn: &ReadTransaction, now: Timestamp, limit: usize) -> Result<FoundExpired, Failure> {
    let mut found = FoundExpired::default();
    for entry in txn.open_table(OUTCOMES)?.range(..=Place::last_expired(now))? {
        if found.completed.len() == limit {
            return Ok(found);
        }
        // What cannot be read is passed over: it is left for whoever looks after the file.
        let (place, value) = entry?;
        if let Ok((key, _)) = owner_of(value.value()) {
            found.completed.push((key, Place(place.value())));
        }
    }
    let locks: ReadOnlyTable<StorageKey, &[u8]> = txn.open_table(LOCKS)?;
    for entry in locks.range::<&[u8; Key::STORAGE_LEN]>(AFTER_MARK)? {
        if found.completed.len() + found.locked.len() >= limit {
            break;
        }
        let (key, bytes) = entry?;
        let key = Key::from_storage_key(*key.value());
        if codec::decode(&key, bytes.value(), Cover::Whole, now).is_ok_and(|record| record.is_expired(now)) {
            found.locked.push(key);
        }
    }
    Ok(found)
}
