//! The locked records of one shard.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};

use idem_core::{Record, Timestamp};

use crate::hash::{BuildAsItIs, HashedKey};

/// How many outdated notes may be kept however few records there are.
const OUTDATED: usize = 32;

/// Every locked record of one shard: held, lapsed within its retention, or released with a checkpoint.
#[derive(Debug)]
pub(crate) struct LockedRecords {
    records: HashMap<HashedKey, Record, BuildAsItIs>,
    /// A note of every record's expiry, and outdated ones of records that have since been renewed or removed:
    /// never more than of twice the records and [`OUTDATED`]. Most records are completed long before they
    /// expire, so taking out every note cost more than a heap that is cleared now and then.
    expiry: BinaryHeap<Reverse<(Timestamp, HashedKey)>>,
}

impl LockedRecords {
    pub(crate) fn new() -> Self {
        Self { records: HashMap::default(), expiry: BinaryHeap::new() }
    }

    pub(crate) fn get(&self, key: &HashedKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// Keeps `record`, in place of the one before.
    pub(crate) fn put(&mut self, key: HashedKey, record: Record) {
        let expires_at = record.expires_at();
        match self.records.entry(key) {
            Entry::Vacant(place) => _ = place.insert(record),
            Entry::Occupied(mut place) => {
                if place.insert(record).expires_at() == expires_at {
                    return;
                }
            }
        }
        self.expiry.push(Reverse((expires_at, key)));
        if self.expiry.len() > 2 * self.records.len() + OUTDATED {
            self.expiry.clear();
            self.expiry.extend(self.records.iter().map(|(key, record)| Reverse((record.expires_at(), *key))));
            self.expiry.shrink_to(2 * self.expiry.len() + OUTDATED);
        }
    }

    pub(crate) fn remove(&mut self, key: &HashedKey) -> Option<Record> {
        let record = self.records.remove(key);
        self.shrink();
        record
    }

    /// The record that has been expired for longest at `now`.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<HashedKey> {
        while let Some(Reverse((expires_at, key))) = self.expiry.peek() {
            if *expires_at > now {
                return None;
            }
            if self.records.get(key).is_some_and(|record| record.expires_at() == *expires_at) {
                return Some(*key);
            }
            self.expiry.pop();
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn notes(&self) -> usize {
        self.expiry.len()
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
