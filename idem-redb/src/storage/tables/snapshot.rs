//! The committed tables, for reading.

use idem_core::Key;
use idem_core::clock::Timestamp;
use idem_core::record::Record;
use redb::{ReadOnlyTable, ReadTransaction};

use crate::error::Failure;
use crate::storage::records::lock_record::{read_checkpoint, read_lock};
use crate::storage::records::schema::{
    CHECKPOINTS, INDEX, IndexKey, LOCKS, OUTCOMES, Place, StorageKey, completed, index_key,
};

/// The tables as of one commit.
pub(crate) struct Snapshot {
    locks: ReadOnlyTable<StorageKey, &'static [u8]>,
    checkpoints: ReadOnlyTable<StorageKey, &'static [u8]>,
    index: ReadOnlyTable<IndexKey, u128>,
    outcomes: ReadOnlyTable<u128, &'static [u8]>,
}

impl Snapshot {
    pub(crate) fn open(txn: &ReadTransaction) -> Result<Self, Failure> {
        Ok(Self {
            locks: txn.open_table(LOCKS)?,
            checkpoints: txn.open_table(CHECKPOINTS)?,
            index: txn.open_table(INDEX)?,
            outcomes: txn.open_table(OUTCOMES)?,
        })
    }

    /// The record of `key`, expired or not.
    pub(crate) fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, Failure> {
        let mut record = self.read_without_checkpoint(key, now)?;
        if let Some(record) = record.as_mut().filter(|record| !record.is_expired(now)) {
            read_checkpoint(&self.checkpoints, key, record)?;
        }
        Ok(record)
    }

    /// The record of `key`, expired or not, with an empty checkpoint where there is one.
    pub(crate) fn read_without_checkpoint(
        &self,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Record>, Failure> {
        // Outcomes first: replays are the most frequent reads.
        match self.read_completed(key, now)? {
            Some(record) => Ok(Some(record)),
            None => Ok(read_lock(&self.locks, key, now)?.map(|(_, record)| record)),
        }
    }

    /// The completed record of `key`, expired or not.
    pub(crate) fn read_completed(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(place) = self.index.get(&index_key(key))? else { return Ok(None) };
        completed(&self.outcomes, key, Place(place.value()), now).map(Some)
    }
}
