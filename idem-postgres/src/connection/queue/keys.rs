//! Keys of which calls were set aside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::StorageKey;

/// How many calls on a key were set aside and are not answered yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Arc<Mutex<HashMap<StorageKey, usize>>>);

/// A call that was set aside, until it is answered or given up.
#[derive(Debug)]
pub(super) struct SetAside {
    keys: Keys,
    key: StorageKey,
}

impl Keys {
    pub(super) fn has(&self, key: &StorageKey) -> bool {
        self.calls().contains_key(key)
    }

    /// Counts one more call on this key, unless it has `most`.
    pub(super) fn set_aside(&self, key: StorageKey, most: usize) -> Option<SetAside> {
        let mut calls = self.calls();
        let number = calls.entry(key).or_default();
        if *number >= most {
            return None;
        }
        *number += 1;
        Some(SetAside { keys: self.clone(), key })
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<StorageKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        let mut calls = self.keys.calls();
        if let Some(number) = calls.get_mut(&self.key) {
            *number -= 1;
            if *number == 0 {
                calls.remove(&self.key);
            }
        }
    }
}
