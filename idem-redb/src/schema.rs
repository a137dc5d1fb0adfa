//! The tables, and how one record is found in them and moved between them.
//!
//! - `idem/locks`: live and unfinished attempts. Small, so that the pages of a batch are few. Its first entry is
//!   the store's high-water mark: written with nearly every commit, it would cost a page of its own elsewhere.
//!   Commits that only grant new tokens leave it out, since those tokens tell as much.
//! - `idem/index`: where a completed key's outcome lies.
//! - `idem/outcomes`: outcomes by (expiry, number), so that they are appended while retentions are alike, and
//!   that what has expired is a prefix: the log is its own expiry index.
//! - `idem/meta`: the schema's version.
//!
//! A key is in `locks`, or in `index` and `outcomes`, or nowhere. One transaction moves it.

use std::ops::Bound;

use idem_core::codec::{self, Cover};
use idem_core::{Error, ErrorKind, Key, Operation, Record, Timestamp};
use redb::{ReadableTable, TableDefinition};

use crate::error::Failure;
use crate::mark;

pub(crate) type StorageKey = &'static [u8; Key::STORAGE_LEN];
pub(crate) type IndexKey = &'static [u8; INDEX_KEY_LEN];

/// 8 bytes of the scope's digest, so that a scope is one range here too, then 16 of the key's own. Half of a
/// storage key makes half as many pages, and pages are what a commit costs. Two keys that agree in all of it are
/// as likely as a forged 128-bit digest; the outcome names its whole key, and a wrong one is `Corrupt`.
pub(crate) const INDEX_KEY_LEN: usize = 24;

/// The version of the tables that this code writes, and the only one that it reads.
pub(crate) const SCHEMA_VERSION: u64 = 1;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("idem/meta");
pub(crate) const LOCKS: TableDefinition<'_, StorageKey, &[u8]> = TableDefinition::new("idem/locks");
/// Value: [`Place`].
pub(crate) const INDEX: TableDefinition<'_, IndexKey, u128> = TableDefinition::new("idem/index");
/// Key: [`Place`]. Value: storage key, then the record.
pub(crate) const OUTCOMES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("idem/outcomes");

/// The names of all of them.
pub(crate) const TABLES: [&str; 4] = ["idem/meta", "idem/locks", "idem/index", "idem/outcomes"];

pub(crate) const VERSION_KEY: &str = "schema version";
/// All locks, without the mark.
pub(crate) const AFTER_MARK: (Bound<&[u8; Key::STORAGE_LEN]>, Bound<&[u8; Key::STORAGE_LEN]>) =
    (Bound::Excluded(&mark::KEY), Bound::Unbounded);

/// Where an outcome lies: its expiry in microseconds, then a number that makes it unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u128);

impl Place {
    pub(crate) fn new(expires_at: Timestamp, number: u64) -> Self {
        Self(u128::from(expires_at.as_micros()) << 64 | u128::from(number))
    }

    /// The last place that has expired at `now`.
    pub(crate) fn last_expired(now: Timestamp) -> u128 {
        Self::new(now, u64::MAX).0
    }
}

/// The record of `key` among the unfinished attempts.
pub(crate) fn locked(
    locks: &impl ReadableTable<StorageKey, &'static [u8]>,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Record>, Failure> {
    let Some(bytes) = locks.get(key.storage_key())? else { return Ok(None) };
    codec::decode(key, bytes.value(), Cover::Whole, now).map(Some).map_err(Failure::Record)
}

/// The outcome of `key` that the index says to lie at `place`.
pub(crate) fn completed(
    outcomes: &impl ReadableTable<u128, &'static [u8]>,
    key: &Key,
    place: Place,
    now: Timestamp,
) -> Result<Record, Failure> {
    let Some(value) = outcomes.get(place.0)? else {
        return Err(corrupt("the index names an outcome that is not there"));
    };
    let (owner, record) = owner_of(value.value())?;
    if owner != *key {
        return Err(corrupt("the index names the outcome of another key"));
    }
    codec::decode(key, record, Cover::Whole, now).map_err(Failure::Record)
}

pub(crate) fn index_key(key: &Key) -> [u8; INDEX_KEY_LEN] {
    let mut index_key = [0; INDEX_KEY_LEN];
    index_key[..8].copy_from_slice(&key.storage_key()[..8]);
    index_key[8..].copy_from_slice(&key.storage_key()[16..32]);
    index_key
}

/// Whose outcome it is, and its record.
pub(crate) fn owner_of(value: &[u8]) -> Result<(Key, &[u8]), Failure> {
    match value.split_first_chunk::<{ Key::STORAGE_LEN }>() {
        Some((key, record)) => Ok((Key::from_storage_key(*key), record)),
        None => Err(corrupt("an outcome is too short to name its key")),
    }
}

pub(crate) fn corrupt(message: &str) -> Failure {
    Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Get, message))
}
