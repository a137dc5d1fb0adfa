//! The completed records of one shard of a store that evicts none.

use hashbrown::HashTable;
use idem_core::{Record, Timestamp};

use crate::expiry::Notes;
use crate::hash::{Handle, HashedKey};
use crate::scope::CountedIn;

/// Every completed record of one shard. Empty in a store that evicts: there they are in
/// [moka](crate::evictable).
#[derive(Debug, Default)]
pub(crate) struct CompletedRecords {
    /// By address: a table of 16 bytes a record grows in a few microseconds.
    records: HashTable<Place>,
    notes: Notes,
}

/// A completed record, and where it is counted.
#[derive(Debug)]
pub(crate) struct CompletedRecord {
    key: HashedKey,
    pub(crate) record: Record,
    scope: CountedIn,
}

impl CompletedRecord {
    /// Of a record that is completed.
    pub(crate) fn new(key: HashedKey, record: Record, scope: CountedIn) -> Self {
        Self { key, record, scope }
    }

    pub(crate) fn scope(&self) -> &CountedIn {
        &self.scope
    }

    pub(crate) fn outcome_bytes(&self) -> u64 {
        self.record.outcome().map_or(0, |outcome| outcome.size() as u64)
    }
}

impl CompletedRecords {
    /// The record of `key`, expired or not.
    pub(crate) fn get(&self, key: &HashedKey) -> Option<&Record> {
        self.records.find(key.hash(), is(key)).map(|(_, completed)| &completed.record)
    }

    /// Keeps the record of a key that has none.
    pub(crate) fn insert(&mut self, completed: CompletedRecord) {
        let (handle, expires_at) = (completed.key.handle(), completed.record.expires_at());
        self.records.insert_unique(handle.bits(), (handle, Box::new(completed)), |(handle, _)| handle.bits());
        self.notes.note(expires_at, handle);
        if self.notes.are_outdated(self.records.len()) {
            let records = self.records.iter();
            self.notes.make_anew(records.map(|(handle, completed)| (completed.record.expires_at(), *handle)));
        }
    }

    pub(crate) fn remove(&mut self, key: &HashedKey) -> Option<CompletedRecord> {
        let ((_, completed), _) = self.records.find_entry(key.hash(), is(key)).ok()?.remove();
        self.shrink();
        Some(*completed)
    }

    /// Takes out the record that has been expired for longest at `now`, having looked at `looks` notes at most.
    ///
    /// Of two keys with one hash (one in 2^64 pairs) each has a note, and one that has not expired is never taken
    /// out in place of the other.
    pub(crate) fn pop_expired(&mut self, now: Timestamp, looks: &mut usize) -> Option<CompletedRecord> {
        while *looks > 0
            && let Some((expires_at, noted)) = self.notes.pop_due(now)
        {
            *looks -= 1;
            if let Ok(found) = self.records.find_entry(noted.bits(), is_noted(expires_at, noted)) {
                let ((_, completed), _) = found.remove();
                self.shrink();
                return Some(*completed);
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

    /// Gives back what a burst has left behind, once hardly any of it is used.
    fn shrink(&mut self) {
        const WORTH_IT: usize = 1_024;
        let room = self.records.capacity();
        if room > WORTH_IT && self.records.len() < room / 8 {
            self.records.shrink_to(room / 4, |(handle, _)| handle.bits());
        }
    }
}

type Place = (Handle, Box<CompletedRecord>);

fn is_noted(expires_at: Timestamp, noted: Handle) -> impl Fn(&Place) -> bool {
    move |(handle, completed)| *handle == noted && completed.record.expires_at() == expires_at
}

fn is(key: &HashedKey) -> impl Fn(&Place) -> bool {
    |(handle, completed)| *handle == key.handle() && completed.key == *key
}
