//! The tables, and how a record is found in them.
//!
//! - `idem/locks`: live and unfinished attempts. The value is the place of the attempt's note in the expiry index, then
//!   its record without the checkpoint's bytes. It is small whatever is checkpointed, so that a renewal writes little.
//!   Before all locks stands their [expiry index](super::lock_expiry), and at its end the scopes'
//!   [usage](super::usage_row) and the store's high-water mark: tables of their own would cost each commit a page more.
//! - `idem/checkpoints`: what holders saved, with a checksum of its own. Written by `checkpoint` alone.
//! - `idem/index`: where a completed key's outcome lies.
//! - `idem/outcomes`: outcomes by [`Place`], so that they are appended while retentions are alike, and that what
//!   has expired is a prefix: the log is its own expiry index.
//! - `idem/meta`: the schema's version.
//!
//! A key is in `locks`, or in `index` and `outcomes`, or nowhere. One transaction moves it.

use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::{Error, ErrorKind, Key};
use redb::{ReadableTable, TableDefinition};

use crate::error::Failure;

pub(crate) type StorageKey = &'static [u8; Key::STORAGE_LEN];
pub(crate) type IndexKey = &'static [u8; INDEX_KEY_LEN];

/// 8 bytes of the scope's digest, so that a scope is one range here too, then 16 bytes of the key's own. Half of a
/// storage key makes half as many pages, and pages are what a commit costs. Two keys that agree in all 24 bytes are as
/// unlikely as a forged 128-bit digest; the outcome names its whole key, and a wrong one is `Corrupt`.
pub(crate) const INDEX_KEY_LEN: usize = 24;
/// The part of an index key that stands for the scope.
pub(crate) const INDEX_SCOPE_LEN: usize = 8;

/// The version of the tables that this code writes. It reads version 1 as well, by migrating it.
pub(crate) const SCHEMA_VERSION: u64 = 2;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("idem/meta");
/// Value: see [`lock_record`](super::lock_record) and [`lock_expiry`](super::lock_expiry).
pub(crate) const LOCKS: TableDefinition<'_, StorageKey, &[u8]> = TableDefinition::new("idem/locks");
/// Value: see [`lock_record`](super::lock_record).
pub(crate) const CHECKPOINTS: TableDefinition<'_, StorageKey, &[u8]> =
    TableDefinition::new("idem/checkpoints");
/// Value: [`Place`].
pub(crate) const INDEX: TableDefinition<'_, IndexKey, u128> = TableDefinition::new("idem/index");
/// Key: [`Place`]. Value: storage key, then the record.
pub(crate) const OUTCOMES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("idem/outcomes");

pub(crate) const TABLES_IN_ALL: usize = 5;
/// The names of all tables.
pub(crate) const TABLES: [&str; TABLES_IN_ALL] =
    ["idem/meta", "idem/locks", "idem/checkpoints", "idem/index", "idem/outcomes"];

pub(crate) const VERSION_KEY: &str = "schema version";

/// Where an outcome or a note lies: an expiry in microseconds, then a number that makes it unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u128);

impl Place {
    pub(crate) const LEN: usize = size_of::<u128>();

    pub(crate) fn new(expires_at: Timestamp, number: u64) -> Self {
        Self(u128::from(expires_at.as_micros()) << 64 | u128::from(number))
    }

    pub(crate) fn expires_at(self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.0 >> 64).unwrap_or(u64::MAX))
    }

    pub(crate) fn number(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or(u64::MAX)
    }

    /// The last place that has expired at `now`. The last two places never expire: those of the scopes' usage and of
    /// the high-water mark.
    pub(crate) fn last_expired(now: Timestamp) -> Self {
        Self(Self::new(now, u64::MAX).0.min(u128::MAX - 2))
    }

    /// Puts `value` at the first free place from this one on. `insert` returns what was at a place. It is called
    /// without a look-up before, which would cost another descent of the tree: nearly always the place is free.
    pub(crate) fn put_free(
        self,
        value: &[u8],
        mut insert: impl FnMut(Self, &[u8]) -> Result<Option<Vec<u8>>, Failure>,
    ) -> Result<Self, Failure> {
        let mut place = self;
        while let Some(taken) = insert(place, value)? {
            insert(place, &taken)?;
            let number = place.number().checked_add(1);
            let number = number.ok_or_else(|| corrupt("there is no place left for this expiry"))?;
            place = Self::new(place.expires_at(), number);
        }
        Ok(place)
    }
}

/// The outcome of `key`, which lies at `place` according to the index.
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
    codec::decode(key, record, ChecksumScope::Whole, now).map_err(Failure::Record)
}

pub(crate) fn index_key(key: &Key) -> [u8; INDEX_KEY_LEN] {
    let mut index_key = [0; INDEX_KEY_LEN];
    index_key[..INDEX_SCOPE_LEN].copy_from_slice(&key.storage_key()[..INDEX_SCOPE_LEN]);
    index_key[INDEX_SCOPE_LEN..].copy_from_slice(&key.storage_key()[16..32]);
    index_key
}

/// The key of an outcome, and its record.
pub(crate) fn owner_of(value: &[u8]) -> Result<(Key, &[u8]), Failure> {
    match value.split_first_chunk::<{ Key::STORAGE_LEN }>() {
        Some((key, record)) => Ok((Key::from_storage_key(*key), record)),
        None => Err(corrupt("an outcome is too short to name its key")),
    }
}

pub(crate) fn corrupt(message: &str) -> Failure {
    Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Get, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_apart_as_it_was_made() {
        for (expires_at, number) in [(0, 0), (7, 9), (u64::MAX, 3), (5, u64::MAX)] {
            let place = Place::new(Timestamp::from_micros(expires_at), number);
            assert_eq!((place.expires_at().as_micros(), place.number()), (expires_at, number));
        }
    }

    #[test]
    fn neither_the_marks_place_nor_the_one_before_it_ever_expires() {
        assert!(Place::last_expired(Timestamp::from_micros(u64::MAX)) < Place(u128::MAX - 1));
    }
}
