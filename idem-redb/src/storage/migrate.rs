//! Migrating a store of version 1, in the transaction that opens it.
//!
//! Version 1 kept a lock as one piece with its checkpoint, had no expiry index of the locks, and kept the high-water
//! mark as the first entry of `idem/locks`: time, sequence, checksum. A commit that only granted one new token did not
//! write the mark, since the token's sequence told as much.

use std::ops::Bound;

use idem_core::Key;
use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::clock::Timestamp;
use idem_core::record::Record;
use redb::{ReadableTable, Table, WriteTransaction};

use crate::error::Failure;
use crate::storage::records::high_water_mark::{self, HighWaterMark};
use crate::storage::records::lock_expiry::{HIGH_WATER_MARK, LockExpiry, note_key};
use crate::storage::records::lock_record::{write_checkpoint, write_lock, write_lock_bytes};
use crate::storage::records::schema::{CHECKPOINTS, LOCKS, Place, StorageKey, corrupt};
use crate::storage::tables::version;

/// The number of tables in version 1; all of them still exist.
pub(crate) const TABLES_OF_VERSION_1: usize = 4;

/// Not the digest of any key.
const MARK_KEY: [u8; Key::STORAGE_LEN] = [0; Key::STORAGE_LEN];
/// How many bytes of records are held in memory at a time; a larger record is held alone.
const MOST_BYTES: usize = 1 << 20;

type Entry = ([u8; Key::STORAGE_LEN], Vec<u8>);
type Locks<'txn> = Table<'txn, StorageKey, &'static [u8]>;

/// Rewrites the locks, and returns the store's high-water mark.
pub(crate) fn from_version_1(txn: &WriteTransaction) -> Result<HighWaterMark, Failure> {
    let mut locks: Locks<'_> = txn.open_table(LOCKS)?;
    let mut checkpoints: Locks<'_> = txn.open_table(CHECKPOINTS)?;
    let written = written_mark(&locks)?;
    locks.remove(&MARK_KEY)?;
    let mut mark = written;
    // Notes are put before all locks.
    let mut last = note_key(HIGH_WATER_MARK);
    loop {
        let some = some_after(&locks, &last)?;
        let Some((key, _)) = some.last() else { break };
        last = *key;
        for (key, bytes) in &some {
            let key = Key::from_storage_key(*key);
            // An unreadable lock stays as it is, and its key reports it. In version 1 it never expired either.
            let Ok(record) = codec::decode(&key, bytes, ChecksumScope::Whole, Timestamp::default()) else {
                write_lock_bytes(&mut locks, &key, Place(0), bytes)?;
                continue;
            };
            raise(&mut mark, written, &record);
            let note = LockExpiry(&mut locks).add(&key, &record, record.token.sequence)?;
            if let Some(checkpoint) = record.checkpoint() {
                write_checkpoint(&mut checkpoints, &key, checkpoint)?;
            }
            write_lock(&mut locks, &key, note, &record)?;
        }
    }
    LockExpiry(&mut locks).write_mark(mark)?;
    version::write_version(txn)?;
    Ok(mark)
}

fn written_mark(locks: &Locks<'_>) -> Result<HighWaterMark, Failure> {
    let Some(bytes) = locks.get(&MARK_KEY)? else {
        return Err(corrupt("the store's high-water mark is missing"));
    };
    let fields = <[[u8; 8]; 3]>::try_from(bytes.value().as_chunks().0);
    match fields.map(|fields| fields.map(u64::from_be_bytes)) {
        Ok([time, sequence, stored])
            if bytes.value().len() == 24 && stored == high_water_mark::sum(&bytes.value()[..16]) =>
        {
            Ok(HighWaterMark { time: Timestamp::from_micros(time), wall: Timestamp::default(), sequence })
        }
        _ => Err(corrupt("the store's high-water mark is damaged")),
    }
}

/// The next locks after `last`, as many as may be held in memory at a time.
fn some_after(locks: &Locks<'_>, last: &[u8; Key::STORAGE_LEN]) -> Result<Vec<Entry>, Failure> {
    let (mut some, mut size) = (Vec::new(), 0);
    for entry in locks.range::<&[u8; Key::STORAGE_LEN]>((Bound::Excluded(last), Bound::Unbounded))? {
        let (key, bytes) = entry?;
        size += Key::STORAGE_LEN + bytes.value().len();
        some.push((*key.value(), bytes.value().to_vec()));
        if size >= MOST_BYTES {
            break;
        }
    }
    Ok(some)
}

/// Raises `mark` by a record that was committed after the mark `written`.
fn raise(mark: &mut HighWaterMark, written: HighWaterMark, record: &Record) {
    let sequence = record.token.sequence;
    mark.sequence = mark.sequence.max(sequence);
    if sequence > written.sequence {
        mark.time = mark.time.max(Timestamp::from_micros(sequence));
    }
}
