//! Calls that wait for a transaction of somebody else.

use tokio::sync::mpsc;

use super::crowd::{MOST_ROW_LOCKED, too_many};
use super::entry::Entry;
use super::keys::Keys;
use crate::batch::BatchedCall;

/// Where calls are sent that held up a statement.
///
/// A key that somebody has inserted in a transaction that is still open holds up every statement that wants to insert it
/// too. So these calls go alone, by another connection, and so do the calls on the same key that come meanwhile.
#[derive(Debug)]
pub(super) struct Aside<B: BatchedCall> {
    entries: mpsc::Sender<Entry<B>>,
    keys: Keys,
}

impl<B: BatchedCall> Aside<B> {
    pub(super) fn new(entries: mpsc::Sender<Entry<B>>) -> Self {
        Self { entries, keys: Keys::default() }
    }

    /// Whether a call on this key has been set aside.
    pub(super) fn has(&self, entry: &Entry<B>) -> bool {
        self.keys.has(entry.storage_key())
    }

    /// Sets a call aside, or refuses it where too many on its key were. Gives it back where there is no room for it.
    pub(super) fn take(&self, mut entry: Entry<B>) -> Option<Entry<B>> {
        entry.set_aside = self.keys.set_aside(*entry.storage_key(), MOST_ROW_LOCKED);
        if entry.set_aside.is_none() {
            entry.give_up(too_many());
            return None;
        }
        match self.entries.try_send(entry) {
            Ok(()) => None,
            Err(
                mpsc::error::TrySendError::Full(mut entry) | mpsc::error::TrySendError::Closed(mut entry),
            ) => {
                entry.set_aside = None;
                Some(entry)
            }
        }
    }
}
