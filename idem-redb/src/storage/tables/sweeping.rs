//! Removing expired records from the tables, for a sweep.

use std::time::Duration;

use idem_core::Key;
use idem_core::clock::Timestamp;
use redb::ReadableTable;

use super::write::{Found, Home, Tables};
use crate::error::Failure;
use crate::storage::records::lock_record::{read_lock, write_lock};
use crate::storage::records::schema::{Place, index_key};

/// How long a sweep leaves an unreadable lock alone: the operator may repair the file, or remove the key.
const UNREADABLE_FOR: Duration = Duration::from_hours(24);

impl Tables<'_> {
    /// Removes `key` from the index, if it still points to `place`.
    pub(crate) fn remove_from_index(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        let index_key = index_key(key);
        let is_its_own =
            self.index.open()?.get(&index_key)?.is_some_and(|indexed| indexed.value() == place.0);
        if is_its_own {
            self.index.open()?.remove(&index_key)?;
        }
        Ok(is_its_own)
    }

    /// Removes an outcome of `key`, whether or not the index points to it.
    pub(crate) fn remove_outcome(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        self.remove_from_index(key, place)?;
        self.remove_from_log(key, place)
    }

    /// Removes the lock of `key` if it has expired. Leaves its note, which the sweep removes afterwards.
    pub(crate) fn remove_expired_lock(&mut self, key: &Key, now: Timestamp) -> Result<bool, Failure> {
        let Some((_, record)) = readable(read_lock(&self.locks, key, now))?.flatten() else {
            return Ok(false);
        };
        if !record.is_expired(now) {
            return Ok(false);
        }
        if record.checkpoint().is_some() {
            self.remove_checkpoint(key)?;
        }
        self.remove_lock(key)
    }

    /// Checks the lock of `key`, whose note at `note` is due. Removes it if it has expired, and returns true; else
    /// notes when to check again.
    pub(crate) fn resolve_due_note(
        &mut self,
        key: &Key,
        note: Place,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        if !self.lock_expiry().has(key, note)? {
            return Ok(false);
        }
        match readable(read_lock(&self.locks, key, now))? {
            None => self.lock_expiry().postpone(key, note, now + UNREADABLE_FOR)?,
            Some(None) => self.lock_expiry().remove(key, note)?,
            Some(Some((own, record))) if record.is_expired(now) => {
                self.lock_expiry().remove(key, note)?;
                self.remove(key, Some(&Found { record, home: Home::Lock(own) }))?;
                return Ok(true);
            }
            // It was locked again after its lock was removed.
            Some(Some((own, _))) if own != note && self.lock_expiry().has(key, own)? => {
                self.lock_expiry().remove(key, note)?;
            }
            Some(Some((_, record))) => {
                let note = self.lock_expiry().renew(key, &record, note)?;
                write_lock(&mut self.locks, key, note, &record)?;
            }
        }
        Ok(false)
    }
}

/// `None`: only this record cannot be read.
fn readable<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Failure::Record(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}
