//! Calls that were received and are not in flight.

use std::collections::HashSet;

use tokio::time::Instant;

use super::choose::choose;
use super::crowd::{MOST_ROW_LOCKED, thin_out};
use super::entry::Entry;
use crate::batch::{BatchedCall, StorageKey};

/// Calls that wait to be sent. Of each key one statement is in flight at a time.
#[derive(Debug)]
pub(super) struct Backlog<B: BatchedCall> {
    /// To be sent again, or for which there was no room.
    later: Vec<Entry<B>>,
    /// Behind a call on the same key that is in flight.
    behind: Vec<Entry<B>>,
    /// Of the calls that are in flight.
    in_flight: HashSet<StorageKey>,
}

impl<B: BatchedCall> Default for Backlog<B> {
    fn default() -> Self {
        Self { later: Vec::new(), behind: Vec::new(), in_flight: HashSet::new() }
    }
}

impl<B: BatchedCall> Backlog<B> {
    pub(super) fn len(&self) -> usize {
        self.later.len() + self.behind.len()
    }

    /// When the next of them may be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.iter().map(|entry| entry.not_before).min()
    }

    /// Takes those that go now, of those that wait and those that were `received` behind them.
    pub(super) fn choose(
        &mut self,
        received: impl Iterator<Item = Entry<B>>,
        max_calls: usize,
    ) -> Vec<Entry<B>> {
        let all = std::mem::take(&mut self.later).into_iter().chain(received);
        let (behind, free): (Vec<_>, Vec<_>) =
            all.partition(|entry| self.in_flight.contains(entry.storage_key()));
        self.behind.extend(behind);
        let (batch, later) = choose(free.into_iter(), max_calls, Instant::now());
        self.later = later;
        batch
    }

    /// A statement with these keys is in flight.
    pub(super) fn sent(&mut self, keys: &[StorageKey]) {
        self.in_flight.extend(keys);
    }

    /// The statement with these keys is not in flight any more. Calls that must be sent again come before all that were
    /// called after them.
    pub(super) fn returned(&mut self, keys: Vec<StorageKey>, mut again: Vec<Entry<B>>) {
        for key in keys {
            self.in_flight.remove(&key);
        }
        again.append(&mut self.behind);
        again.append(&mut self.later);
        self.later = again;
        thin_out(&mut self.later, MOST_ROW_LOCKED);
    }
}
