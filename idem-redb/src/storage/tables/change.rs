//! Carrying out a change of one record.

use idem_core::Key;
use idem_core::backend::Change;
use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::record::{Record, State};
use redb::ReadableTable;

use super::sizes::{IN_INDEX, LOCK, size};
use super::write::{Found, Home, Tables};
use crate::error::Failure;
use crate::storage::records::lock_record::{note_of, write_checkpoint, write_lock};
use crate::storage::records::schema::{Place, index_key, owner_of};

impl Tables<'_> {
    /// Carries out `change` on `key`, whose record is `found`.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        found: Option<&Found>,
        change: &Change,
        number: u64,
    ) -> Result<(), Failure> {
        match change {
            Change::None => Ok(()),
            Change::Remove => self.remove(key, found),
            Change::Put(record) => match &record.state {
                State::Locked(_) => self.put_lock(key, found, record, number),
                State::Completed(completed) => {
                    let bytes = codec::encode(key, record, ChecksumScope::Whole).map_err(Failure::Record)?;
                    self.remove(key, found)?;
                    self.append(key, Place::new(completed.expires_at, number), &bytes)
                }
            },
        }
    }

    fn put_lock(
        &mut self,
        key: &Key,
        found: Option<&Found>,
        record: &Record,
        number: u64,
    ) -> Result<(), Failure> {
        let note = match found.map(|found| found.home) {
            Some(Home::Lock(note)) => self.lock_expiry().keep_or_move(key, record, note)?,
            Some(Home::Outcome(_)) | None => {
                self.remove(key, found)?;
                self.count(key, LOCK);
                self.lock_expiry().add(key, record, number)?
            }
        };
        // Steps only rise, so an equal step means the same checkpoint.
        let stored = found.and_then(|found| found.record.checkpoint()).map(|checkpoint| checkpoint.step);
        match record.checkpoint() {
            Some(checkpoint) if stored != Some(checkpoint.step) => {
                if stored.is_some() && self.changes.is_some() {
                    let before = self.checkpoints.open()?.get(key.storage_key())?;
                    let before = before.map_or(0, |value| Key::STORAGE_LEN + value.value().len());
                    self.count(key, -size(before));
                }
                let length = write_checkpoint(self.checkpoints.open()?, key, checkpoint)?;
                self.count(key, size(Key::STORAGE_LEN + length));
            }
            None if stored.is_some() => self.remove_checkpoint(key)?,
            _ => {}
        }
        write_lock(&mut self.locks, key, note, record)
    }

    /// Appends a completed `record` to the log of outcomes, at `place` or behind it.
    fn append(&mut self, key: &Key, place: Place, record: &[u8]) -> Result<(), Failure> {
        let outcome = [key.storage_key(), record].concat();
        let outcomes = self.outcomes.open()?;
        let place = place.put_free(&outcome, |place, outcome| {
            let taken = outcomes.insert(place.0, outcome)?;
            Ok(taken.map(|taken| taken.value().to_vec()))
        })?;
        self.index.open()?.insert(&index_key(key), place.0)?;
        self.count(key, size(IN_INDEX + outcome.len()));
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &Key, found: Option<&Found>) -> Result<(), Failure> {
        match found.map(|found| (found.home, &found.record)) {
            None => {}
            Some((Home::Lock(note), record)) => {
                self.remove_lock(key)?;
                self.lock_expiry().remove(key, note)?;
                if record.checkpoint().is_some() {
                    self.remove_checkpoint(key)?;
                }
            }
            Some((Home::Outcome(place), _)) => {
                self.index.open()?.remove(&index_key(key))?;
                self.remove_from_log(key, place)?;
            }
        }
        Ok(())
    }

    pub(super) fn remove_lock(&mut self, key: &Key) -> Result<bool, Failure> {
        let is_removed = self.locks.remove(key.storage_key())?.is_some();
        if is_removed {
            self.count(key, -LOCK);
        }
        Ok(is_removed)
    }

    pub(super) fn remove_checkpoint(&mut self, key: &Key) -> Result<(), Failure> {
        let removed = self.checkpoints.open()?.remove(key.storage_key())?;
        if let Some(length) = removed.map(|value| value.value().len()) {
            self.count(key, -size(Key::STORAGE_LEN + length));
        }
        Ok(())
    }

    pub(super) fn remove_from_log(&mut self, key: &Key, place: Place) -> Result<bool, Failure> {
        let removed = self.outcomes.open()?.remove(place.0)?.map(|value| value.value().len());
        if let Some(length) = removed {
            self.count(key, -size(IN_INDEX + length));
        }
        Ok(removed.is_some())
    }

    /// Removes `key` without reading its record, for an operator who gives up a damaged one.
    pub(crate) fn remove_unread(&mut self, key: &Key) -> Result<bool, Failure> {
        let locked = self.locks.remove(key.storage_key())?.map(|value| note_of(value.value()));
        if locked.is_some() {
            self.count(key, -LOCK);
        }
        if let Some(Some(note)) = locked {
            self.lock_expiry().remove(key, note)?;
        }
        self.remove_checkpoint(key)?;
        let place = self.index.open()?.remove(&index_key(key))?.map(|place| place.value());
        if let Some(place) = place {
            let is_its_own = match self.outcomes.open()?.get(place)? {
                Some(value) => owner_of(value.value()).is_ok_and(|(owner, _)| owner == *key),
                None => false,
            };
            if is_its_own {
                self.remove_from_log(key, Place(place))?;
            }
        }
        Ok(locked.is_some() || place.is_some())
    }
}
