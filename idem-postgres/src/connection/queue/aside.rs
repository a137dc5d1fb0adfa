//! Calls that wait for a transaction of somebody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::entry::Entry;
use crate::batch::{Batch, StorageKey};

/// Where calls are sent that held up a statement.
///
/// A key that somebody has inserted in a transaction that is still open holds up every statement that wants to insert it
/// too. So these calls go alone, by another connection, and so do the calls on the same key that come meanwhile.
#[derive(Debug)]
pub(super) struct Aside<B: Batch> {
    entries: mpsc::Sender<Entry<B>>,
    keys: Keys,
}

/// How many calls on a key were set aside and are not answered yet.
type Keys = Arc<Mutex<HashMap<StorageKey, usize>>>;

/// A call that was set aside, until it is answered or given up.
#[derive(Debug)]
pub(super) struct SetAside {
    keys: Keys,
    key: StorageKey,
}

impl<B: Batch> Aside<B> {
    pub(super) fn new(entries: mpsc::Sender<Entry<B>>) -> Self {
        Self { entries, keys: Keys::default() }
    }

    /// Whether a call on this key has been set aside.
    pub(super) fn has(&self, entry: &Entry<B>) -> bool {
        lock(&self.keys).contains_key(entry.call.key().storage_key())
    }

    /// Sets a call aside, and gives it back where there is no room for it.
    pub(super) fn take(&self, mut entry: Entry<B>) -> Option<Entry<B>> {
        let key = *entry.call.key().storage_key();
        *lock(&self.keys).entry(key).or_default() += 1;
        entry.set_aside = Some(SetAside { keys: Arc::clone(&self.keys), key });
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

impl Drop for SetAside {
    fn drop(&mut self) {
        let mut keys = lock(&self.keys);
        if let Some(calls) = keys.get_mut(&self.key) {
            *calls -= 1;
            if *calls == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

fn lock(keys: &Keys) -> MutexGuard<'_, HashMap<StorageKey, usize>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}
