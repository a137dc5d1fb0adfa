//! The tables within a write transaction: finding records, and counting changes.

use idem_core::Key;
use idem_core::clock::Timestamp;
use idem_core::record::Record;
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::Failure;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::lock_expiry::{self, LockExpiry};
use crate::storage::records::lock_record::{read_checkpoint, read_lock};
use crate::storage::records::schema::{
    CHECKPOINTS, INDEX, IndexKey, LOCKS, OUTCOMES, Place, StorageKey, completed, index_key,
};
use crate::storage::records::scope_usage::UsageChanges;
use crate::storage::records::usage_row::UsageRow;
use crate::storage::tables::lazy_table::LazyTable;

/// A record, and where it is stored.
pub(crate) struct Found {
    pub(crate) record: Record,
    pub(super) home: Home,
}

#[derive(Clone, Copy)]
pub(super) enum Home {
    /// Among the locks, with a note at this place.
    Lock(Place),
    /// In the log of outcomes, at this place.
    Outcome(Place),
}

/// The tables within a write transaction.
pub(crate) struct Tables<'txn> {
    /// The table that every commit writes to: the high-water mark is in it.
    pub(super) locks: Table<'txn, StorageKey, &'static [u8]>,
    pub(super) checkpoints: LazyTable<'txn, StorageKey, &'static [u8]>,
    pub(super) index: LazyTable<'txn, IndexKey, u128>,
    pub(super) outcomes: LazyTable<'txn, u128, &'static [u8]>,
    /// The changes of the scopes' usage, where they are counted.
    pub(super) changes: Option<UsageChanges>,
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

    /// Counts the changes of the scopes' usage from now on.
    pub(crate) fn count_changes(&mut self) {
        self.changes = Some(UsageChanges::default());
    }

    /// The changes that were counted.
    pub(crate) fn take_changes(&mut self) -> UsageChanges {
        self.changes.take().unwrap_or_default()
    }

    /// The record of `key`, with the step of its checkpoint but not its bytes, which a holder's call does not need.
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

    pub(super) fn count(&mut self, key: &Key, bytes: i64) {
        if let Some(changes) = &mut self.changes {
            changes.add(key.scope_prefix(), bytes);
        }
    }

    pub(crate) fn write_mark(&mut self, mark: HighWaterMark) -> Result<(), Failure> {
        self.lock_expiry().write_mark(mark)
    }

    /// The store's high-water mark.
    pub(crate) fn mark(&self) -> Result<HighWaterMark, Failure> {
        lock_expiry::read_mark(&self.locks)
    }

    pub(crate) fn write_usage(&mut self, usage: &UsageRow) -> Result<(), Failure> {
        self.lock_expiry().write_usage(usage)
    }

    pub(crate) fn remove_usage(&mut self) -> Result<(), Failure> {
        self.lock_expiry().remove_usage()
    }

    pub(super) fn lock_expiry(&mut self) -> LockExpiry<'_, 'txn> {
        LockExpiry(&mut self.locks)
    }
}
