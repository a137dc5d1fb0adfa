//! The locked records of one shard.

use std::collections::HashMap;

use idem_core::{Record, Timestamp};

use crate::expiry::Expiry;
use crate::hash::{BuildAsItIs, HashedKey};

/// Every locked record of one shard: held, lapsed within its retention, or released with a checkpoint.
#[derive(Debug)]
pub(crate) struct LockedRecords {
    records: HashMap<HashedKey, Record, BuildAsItIs>,
    expiry: Expiry<HashedKey>,
}

impl LockedRecords {
    pub(crate) fn new() -> Self {
        Self { records: HashMap::default(), expiry: Expiry::new() }
    }

    pub(crate) fn get(&self, key: &HashedKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// Keeps `record`, in place of the one before.
    pub(crate) fn put(&mut self, key: HashedKey, record: Record) {
        let expires_at = record.expires_at();
        let before = self.records.insert(key, record).map(|before| before.expires_at());
        if before == Some(expires_at) {
            return;
        }
        if let Some(before) = before {
            self.expiry.remove(before, key);
        }
        self.expiry.insert(expires_at, key);
    }

    pub(crate) fn remove(&mut self, key: &HashedKey) -> Option<Record> {
        let record = self.records.remove(key)?;
        self.expiry.remove(record.expires_at(), *key);
        self.shrink();
        Some(record)
    }

    /// The record that has been expired for longest at `now`.
    pub(crate) fn due(&self, now: Timestamp) -> Option<HashedKey> {
        self.expiry.due(now)
    }

    /// Gives back what a burst of locks has left behind, once hardly any of it is used.
    fn shrink(&mut self) {
        const WORTH_IT: usize = 256;
        let room = self.records.capacity();
        if room > WORTH_IT && self.records.len() < room / 8 {
            self.records.shrink_to(room / 4);
        }
    }
}

/// The bytes of the checkpoint that `record` carries.
pub(crate) fn checkpoint_bytes(record: &Record) -> u64 {
    record.checkpoint().map_or(0, |checkpoint| checkpoint.progress.len() as u64)
}
