//! Which records expire next.

use std::collections::BTreeSet;

use idem_core::Timestamp;

/// The records of one shard in order of expiry. Exact: as large as there are records, never larger.
#[derive(Debug)]
pub(crate) struct Expiry<T>(BTreeSet<(Timestamp, T)>);

impl<T: Ord + Copy> Expiry<T> {
    pub(crate) fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn insert(&mut self, expires_at: Timestamp, record: T) {
        self.0.insert((expires_at, record));
    }

    pub(crate) fn remove(&mut self, expires_at: Timestamp, record: T) {
        self.0.remove(&(expires_at, record));
    }

    /// The record that has been expired for longest at `now`.
    pub(crate) fn due(&self, now: Timestamp) -> Option<T> {
        self.0.first().filter(|(expires_at, _)| *expires_at <= now).map(|(_, record)| *record)
    }

    /// Takes it out.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<T> {
        self.due(now)?;
        self.0.pop_first().map(|(_, record)| record)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
