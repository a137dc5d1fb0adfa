//! The locked records of one shard.

use hashbrown::HashTable;
use idem_core::{Record, Timestamp};

use crate::expiry::Notes;
use crate::hash::{Handle, HashedKey};
use crate::scope::CountedIn;

/// Every locked record of one shard: held, lapsed within its retention, or released with a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct LockedRecords {
    records: HashTable<LockedRecord>,
    /// Most records are completed long before they expire, and leave an outdated note.
    notes: Notes,
}

/// A locked record, and where it is counted.
#[derive(Debug)]
pub(crate) struct LockedRecord {
    key: HashedKey,
    pub(crate) record: Record,
    pub(crate) scope: CountedIn,
}

impl LockedRecord {
    /// The bytes of its checkpoint.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        checkpoint_bytes(&self.record)
    }
}

impl LockedRecords {
    pub(crate) fn get(&self, key: &HashedKey) -> Option<&LockedRecord> {
        self.records.find(key.hash(), |locked| locked.key == *key)
    }

    /// Keeps the first record of `key`.
    pub(crate) fn insert(&mut self, key: HashedKey, record: Record, scope: CountedIn) {
        let expires_at = record.expires_at();
        let locked = LockedRecord { key, record, scope };
        self.records.insert_unique(key.hash(), locked, |locked| locked.key.hash());
        self.note(expires_at, &key);
    }

    /// Keeps `record` in place of the one before, if there is one.
    pub(crate) fn replace(&mut self, key: &HashedKey, record: Record) {
        let expires_at = record.expires_at();
        if let Some(locked) = self.records.find_mut(key.hash(), |locked| locked.key == *key)
            && std::mem::replace(&mut locked.record, record).expires_at() != expires_at
        {
            self.note(expires_at, key);
        }
    }

    pub(crate) fn remove(&mut self, key: &HashedKey) -> Option<LockedRecord> {
        let found = self.records.find_entry(key.hash(), |locked| locked.key == *key);
        let (locked, _) = found.ok()?.remove();
        self.shrink();
        Some(locked)
    }

    /// Takes out the record that has been expired for longest at `now`, having looked at `looks` notes at most.
    pub(crate) fn pop_expired(&mut self, now: Timestamp, looks: &mut usize) -> Option<LockedRecord> {
        while *looks > 0
            && let Some((expires_at, record)) = self.notes.pop_due(now)
        {
            *looks -= 1;
            if let Ok(found) = self.records.find_entry(record.bits(), is_noted(expires_at, record)) {
                let (locked, _) = found.remove();
                self.shrink();
                return Some(locked);
            }
        }
        None
    }

    /// Whether a record has expired at `now`, as [`Notes::has_expired`] says.
    pub(crate) fn has_expired(&mut self, now: Timestamp) -> bool {
        let records = &self.records;
        self.notes.has_expired(now, |expires_at, record| {
            records.find(record.bits(), is_noted(expires_at, record)).is_some()
        })
    }

    /// When the next record expires, or later.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.notes.next()
    }

    #[cfg(test)]
    pub(crate) fn notes(&self) -> usize {
        self.notes.len()
    }

    fn note(&mut self, expires_at: Timestamp, key: &HashedKey) {
        self.notes.note(expires_at, key.handle());
        if self.notes.are_outdated(self.records.len()) {
            let records = self.records.iter();
            self.notes.make_anew(records.map(|locked| (locked.record.expires_at(), locked.key.handle())));
        }
    }

    /// Gives back what a burst of locks has left behind, once hardly any of it is used.
    fn shrink(&mut self) {
        const WORTH_IT: usize = 256;
        let room = self.records.capacity();
        if room > WORTH_IT && self.records.len() < room / 8 {
            self.records.shrink_to(room / 4, |locked| locked.key.hash());
        }
    }
}

fn is_noted(expires_at: Timestamp, record: Handle) -> impl Fn(&LockedRecord) -> bool {
    move |locked| locked.key.handle() == record && locked.record.expires_at() == expires_at
}

/// The bytes of the checkpoint that `record` carries.
pub(crate) fn checkpoint_bytes(record: &Record) -> u64 {
    record.checkpoint().map_or(0, |checkpoint| checkpoint.progress.len() as u64)
}
