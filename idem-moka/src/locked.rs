//! The locked records of one shard.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use idem_core::{Record, Timestamp};

use crate::hash::{BuildAsItIs, HashedKey};
use crate::scope::CountedIn;

/// How many outdated notes may be kept however few records there are.
const OUTDATED: usize = 32;

/// Every locked record of one shard: held, lapsed within its retention, or released with a checkpoint.
#[derive(Debug)]
pub(crate) struct LockedRecords {
    records: HashMap<HashedKey, LockedRecord, BuildAsItIs>,
    /// A note of every record's expiry, and outdated ones of records that have since been renewed or removed:
    /// never more than of twice the records and [`OUTDATED`]. Most records are completed long before they
    /// expire, so taking out every note cost more than a heap that is cleared now and then.
    expiry: BinaryHeap<Reverse<(Timestamp, HashedKey)>>,
}

/// A locked record, and where it is counted.
#[derive(Debug)]
pub(crate) struct LockedRecord {
    pub(crate) record: Record,
    pub(crate) scope: CountedIn,
}

impl LockedRecord {
    /// The bytes of its checkpoint.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.record.checkpoint().map_or(0, |checkpoint| checkpoint.progress.len() as u64)
    }
}

impl LockedRecords {
    pub(crate) fn new() -> Self {
        Self { records: HashMap::default(), expiry: BinaryHeap::new() }
    }

    pub(crate) fn get(&self, key: &HashedKey) -> Option<&LockedRecord> {
        self.records.get(key)
    }

    pub(crate) fn insert(&mut self, key: HashedKey, record: Record, scope: CountedIn) {
        let expires_at = record.expires_at();
        self.records.insert(key, LockedRecord { record, scope });
        self.note(expires_at, key);
    }

    /// Keeps `record` in place of the one before, if there is one.
    pub(crate) fn replace(&mut self, key: &HashedKey, record: Record) {
        let expires_at = record.expires_at();
        if let Some(place) = self.records.get_mut(key)
            && std::mem::replace(&mut place.record, record).expires_at() != expires_at
        {
            self.note(expires_at, *key);
        }
    }

    fn note(&mut self, expires_at: Timestamp, key: HashedKey) {
        self.expiry.push(Reverse((expires_at, key)));
        if self.expiry.len() > 2 * self.records.len() + OUTDATED {
            self.expiry.clear();
            let notes = self.records.iter().map(|(key, locked)| Reverse((locked.record.expires_at(), *key)));
            self.expiry.extend(notes);
            self.expiry.shrink_to(2 * self.expiry.len() + OUTDATED);
        }
    }

    pub(crate) fn remove(&mut self, key: &HashedKey) -> Option<LockedRecord> {
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
            if self.records.get(key).is_some_and(|locked| locked.record.expires_at() == *expires_at) {
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
