//! The records of one kind in one shard: locked ones, or completed ones.

use hashbrown::HashTable;
use idem_core::clock::Timestamp;
use idem_core::record::Record;

use crate::accounting::scope::CountedIn;
use crate::hash::{HashedKey, KeyHashValue};
use crate::shards::notes::Notes;

/// Records by key, and notes of when they expire.
#[derive(Debug, Default)]
pub(crate) struct Table {
    records: HashTable<Place>,
    notes: Notes,
}

/// A record, its key, and the scope that it is counted in.
///
/// Each entry is allocated once, and moves from table to table by its address: a table with 16 bytes for each
/// record grows in a few microseconds, and a record is written once.
#[derive(Debug)]
pub(crate) struct Entry {
    key: HashedKey,
    pub(crate) record: Record,
    pub(crate) scope: CountedIn,
}

type Place = (KeyHashValue, Box<Entry>);

impl Entry {
    pub(crate) fn key(&self) -> &HashedKey {
        &self.key
    }

    pub(crate) fn new(key: HashedKey, record: Record, scope: CountedIn) -> Box<Self> {
        Box::new(Self { key, record, scope })
    }

    /// The bytes of its checkpoint.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        checkpoint_bytes(&self.record)
    }

    /// The bytes of its outcome.
    pub(crate) fn outcome_bytes(&self) -> u64 {
        self.record.outcome().map_or(0, |outcome| outcome.size() as u64)
    }
}

impl Table {
    /// The record of `key`, expired or not.
    pub(crate) fn get(&self, key: &HashedKey) -> Option<&Entry> {
        self.records.find(key.hash(), is(key)).map(|(_, entry)| &**entry)
    }

    /// Inserts the record of a key that has none here.
    pub(crate) fn insert(&mut self, entry: Box<Entry>) {
        let (hash, expires_at) = (entry.key.hash_value(), entry.record.expires_at());
        self.records.insert_unique(hash.bits(), (hash, entry), |(hash, _)| hash.bits());
        self.note(expires_at, hash);
    }

    /// Replaces the record of `key`, if there is one.
    pub(crate) fn replace(&mut self, key: &HashedKey, record: Record) {
        let expires_at = record.expires_at();
        if let Some((hash, entry)) = self.records.find_mut(key.hash(), is(key)) {
            let hash = *hash;
            if std::mem::replace(&mut entry.record, record).expires_at() != expires_at {
                self.note(expires_at, hash);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &HashedKey) -> Option<Box<Entry>> {
        let ((_, entry), _) = self.records.find_entry(key.hash(), is(key)).ok()?.remove();
        self.shrink();
        Some(entry)
    }

    /// Takes out the record that has been expired for longest at `now`, after reading at most `looks` notes.
    ///
    /// Two keys with the same hash (one in 2^64 pairs) have a note each, and a record that has not expired is never
    /// taken out in place of the other.
    pub(crate) fn pop_expired(&mut self, now: Timestamp, looks: &mut usize) -> Option<Box<Entry>> {
        while *looks > 0
            && let Some((expires_at, hash)) = self.notes.pop_due(now)
        {
            *looks -= 1;
            if let Ok(found) = self.records.find_entry(hash.bits(), is_noted(expires_at, hash)) {
                let ((_, entry), _) = found.remove();
                self.shrink();
                return Some(entry);
            }
        }
        None
    }

    /// Whether a record has expired at `now`. Also true after many outdated notes, before a current one is found.
    pub(crate) fn has_expired(&mut self, now: Timestamp) -> bool {
        let records = &self.records;
        self.notes.has_expired(now, |expires_at, hash| {
            records.find(hash.bits(), is_noted(expires_at, hash)).is_some()
        })
    }

    /// The records behind `after` in the order of hash and key; all of them, but in no order. Of those that are not behind it,
    /// only the hash is read.
    pub(crate) fn behind(&self, after: Option<HashedKey>) -> impl Iterator<Item = &Entry> {
        let is_behind = move |(hash, entry): &&Place| {
            let Some(after) = after else { return true };
            hash.cmp(&after.hash_value()).then_with(|| entry.key.cmp(&after)).is_gt()
        };
        self.records.iter().filter(is_behind).map(|(_, entry)| &**entry)
    }

    /// When the next record expires, or later.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.notes.next()
    }

    #[cfg(test)]
    pub(crate) fn notes(&self) -> usize {
        self.notes.len()
    }

    fn note(&mut self, expires_at: Timestamp, hash: KeyHashValue) {
        self.notes.note(expires_at, hash);
        if self.notes.are_outdated(self.records.len()) {
            let records = self.records.iter();
            self.notes.rebuild(records.map(|(hash, entry)| (entry.record.expires_at(), *hash)));
        }
    }

    /// Shrinks a table that a burst has made large, once little of it is used.
    fn shrink(&mut self) {
        const WORTH_IT: usize = 1_024;
        let room = self.records.capacity();
        if room > WORTH_IT && self.records.len() < room / 8 {
            self.records.shrink_to(room / 4, |(hash, _)| hash.bits());
        }
    }
}

/// The bytes of the checkpoint that `record` carries.
pub(crate) fn checkpoint_bytes(record: &Record) -> u64 {
    record.checkpoint().map_or(0, |checkpoint| checkpoint.progress.len() as u64)
}

fn is(key: &HashedKey) -> impl Fn(&Place) -> bool {
    |(hash, entry)| *hash == key.hash_value() && entry.key == *key
}

fn is_noted(expires_at: Timestamp, noted: KeyHashValue) -> impl Fn(&Place) -> bool {
    move |(hash, entry)| *hash == noted && entry.record.expires_at() == expires_at
}
