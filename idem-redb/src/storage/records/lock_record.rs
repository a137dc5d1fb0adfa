//! The bytes of an unfinished attempt: its record in one table, its checkpoint in another.
//!
//! ```text
//! idem/locks:        16 bytes: where its note lies in the expiry index, big-endian
//!                     n bytes: the record (idem_core::backend::codec), with a checkpoint of no bytes where there is one
//! idem/checkpoints:   8 bytes: the step, big-endian
//!                     n bytes: what the holder saved
//!                     8 bytes: checksum of both, and of the key
//! ```
//!
//! They are separate, since a renewal rewrites the first, and the second may have megabytes. The record names the
//! checkpoint's step, so that a missing or mismatched checkpoint is noticed.

use bytes::Bytes;
use idem_core::Key;
use idem_core::backend::codec::{self, ChecksumScope, checksum};
use idem_core::clock::Timestamp;
use idem_core::record::{Checkpoint, Record, State};
use redb::{ReadableTable, Table};

use crate::error::Failure;
use crate::storage::records::schema::{Place, StorageKey, corrupt};

const STEP_LEN: usize = 8;
const CHECKSUM_LEN: usize = 8;

/// The place of the note of `key`, and its record with an empty checkpoint.
pub(crate) fn read_lock(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
    key: &Key,
    now: Timestamp,
) -> Result<Option<(Place, Record)>, Failure> {
    let Some(value) = locks.get(key.storage_key())? else { return Ok(None) };
    let (note, record) =
        split(value.value()).ok_or_else(|| corrupt("a lock is too short to name its note"))?;
    let record = codec::decode(key, record, ChecksumScope::Whole, now).map_err(Failure::Record)?;
    Ok(Some((note, record)))
}

/// The place of a lock's note, also when the rest of the lock is damaged.
pub(crate) fn note_of(value: &[u8]) -> Option<Place> {
    split(value).map(|(note, _)| note)
}

/// A lock's record, encoded.
pub(crate) fn record_of(value: &[u8]) -> Option<&[u8]> {
    split(value).map(|(_, record)| record)
}

fn split(value: &[u8]) -> Option<(Place, &[u8])> {
    let (note, record) = value.split_first_chunk::<{ Place::LEN }>()?;
    Some((Place(u128::from_be_bytes(*note)), record))
}

/// Fills in the bytes of the checkpoint of `record`.
pub(crate) fn read_checkpoint(
    checkpoints: &impl ReadableTable<StorageKey, &'static [u8]>,
    key: &Key,
    record: &mut Record,
) -> Result<(), Failure> {
    let Some(checkpoint) = checkpoint_of(record) else { return Ok(()) };
    let Some(value) = checkpoints.get(key.storage_key())? else {
        return Err(corrupt("the checkpoint is not there"));
    };
    let Some((covered, stored)) = value.value().split_last_chunk::<CHECKSUM_LEN>() else {
        return Err(corrupt("the checkpoint is too short"));
    };
    if *stored != checksum(key, covered).to_be_bytes() {
        return Err(corrupt("the checkpoint's checksum does not match"));
    }
    match covered.split_first_chunk::<STEP_LEN>() {
        Some((step, progress)) if u64::from_be_bytes(*step) == checkpoint.step => {
            checkpoint.progress = Bytes::copy_from_slice(progress);
            Ok(())
        }
        _ => Err(corrupt("the checkpoint is another one's")),
    }
}

/// Writes `record` without the bytes of its checkpoint.
pub(crate) fn write_lock(
    locks: &mut Table<'_, StorageKey, &'static [u8]>,
    key: &Key,
    note: Place,
    record: &Record,
) -> Result<(), Failure> {
    let mut record = record.clone();
    if let Some(checkpoint) = checkpoint_of(&mut record) {
        checkpoint.progress = Bytes::new();
    }
    let bytes = codec::encode(key, &record, ChecksumScope::Whole).map_err(Failure::Record)?;
    write_lock_bytes(locks, key, note, &bytes)
}

/// Writes a record that is encoded already.
pub(crate) fn write_lock_bytes(
    locks: &mut Table<'_, StorageKey, &'static [u8]>,
    key: &Key,
    note: Place,
    record: &[u8],
) -> Result<(), Failure> {
    let mut value = locks.insert_reserve(key.storage_key(), Place::LEN + record.len())?;
    let (head, tail) = value.as_mut().split_at_mut(Place::LEN);
    head.copy_from_slice(&note.0.to_be_bytes());
    tail.copy_from_slice(record);
    Ok(())
}

/// Writes the bytes of a checkpoint; returns how many there are.
pub(crate) fn write_checkpoint(
    checkpoints: &mut Table<'_, StorageKey, &'static [u8]>,
    key: &Key,
    checkpoint: &Checkpoint,
) -> Result<usize, Failure> {
    let covered = STEP_LEN + checkpoint.progress.len();
    let mut value = checkpoints.insert_reserve(key.storage_key(), covered + CHECKSUM_LEN)?;
    let (head, tail) = value.as_mut().split_at_mut(covered);
    head[..STEP_LEN].copy_from_slice(&checkpoint.step.to_be_bytes());
    head[STEP_LEN..].copy_from_slice(&checkpoint.progress);
    tail.copy_from_slice(&checksum(key, head).to_be_bytes());
    Ok(covered + CHECKSUM_LEN)
}

fn checkpoint_of(record: &mut Record) -> Option<&mut Checkpoint> {
    match &mut record.state {
        State::Locked(locked) => locked.checkpoint.as_mut(),
        State::Completed(_) => None,
    }
}
