//! `scan`: listing the records, a part of them in each read transaction.

use std::ops::{Bound, RangeInclusive};

use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::clock::Timestamp;
use idem_core::scan::{Cursor, Entry, Page, RecordState, Scan, Stage, Summary};
use idem_core::{Key, Result, Scope};
use redb::{ReadOnlyTable, ReadTransaction};

use crate::error::Failure;
use crate::storage::records::lock_expiry::{HIGH_WATER_MARK, note_key};
use crate::storage::records::lock_record::record_of;
use crate::storage::records::schema::{
    CHECKPOINTS, INDEX, INDEX_KEY_LEN, INDEX_SCOPE_LEN, IndexKey, LOCKS, OUTCOMES, StorageKey, owner_of,
};

/// Bytes of records that one call reads, about: reading an outcome's header reads its pages.
const MOST_BYTES: u64 = 8 << 20;

/// The tables in the order in which they are scanned, each behind the key that was looked at last. A completion moves a
/// record from the first to the others, so none is missed. Of all scopes, outcomes are read as they lie, in order of expiry;
/// of one scope, as its part of the index has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Locks(Option<[u8; Key::STORAGE_LEN]>),
    Index(Option<[u8; INDEX_KEY_LEN]>),
    Outcomes(Option<u128>),
}

const IN_LOCKS: [u8; 2] = *b"rl";
const IN_INDEX: [u8; 2] = *b"ri";
const IN_OUTCOMES: [u8; 2] = *b"ro";

impl Position {
    pub(crate) fn of(scan: &Scan, after: Option<&Cursor>) -> Result<Self> {
        let Some(cursor) = after else { return Ok(Self::Locks(None)) };
        Self::read(cursor).filter(|position| position.is_of(scan.scope.as_ref())).ok_or_else(Cursor::invalid)
    }

    /// That of another scope would pass over keys of this one.
    fn is_of(&self, scope: Option<&[u8; Scope::PREFIX_LEN]>) -> bool {
        match (self, scope) {
            (Self::Locks(Some(after)), Some(scope)) => after.starts_with(scope),
            (Self::Index(Some(after)), Some(scope)) => after.starts_with(&scope[..INDEX_SCOPE_LEN]),
            (Self::Outcomes(_), Some(_)) | (Self::Index(_), None) => false,
            _ => true,
        }
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let (table, after) = cursor.parts()?;
        let is_begun = !after.is_empty();
        match table {
            IN_LOCKS if is_begun => Some(Self::Locks(Some(after.try_into().ok()?))),
            IN_INDEX if is_begun => Some(Self::Index(Some(after.try_into().ok()?))),
            IN_OUTCOMES if is_begun => {
                Some(Self::Outcomes(Some(u128::from_be_bytes(after.try_into().ok()?))))
            }
            IN_LOCKS => Some(Self::Locks(None)),
            IN_INDEX => Some(Self::Index(None)),
            IN_OUTCOMES => Some(Self::Outcomes(None)),
            _ => None,
        }
    }

    fn cursor(self) -> Result<Cursor> {
        match self {
            Self::Locks(after) => Cursor::new(IN_LOCKS, after.as_ref().map_or(&[], |after| after)),
            Self::Index(after) => Cursor::new(IN_INDEX, after.as_ref().map_or(&[], |after| after)),
            Self::Outcomes(after) => {
                let after = after.map(u128::to_be_bytes);
                Cursor::new(IN_OUTCOMES, after.as_ref().map_or(&[], |after| after))
            }
        }
    }
}

/// Lists records from `position` on, as of `now`.
pub(crate) fn list(
    txn: &ReadTransaction,
    scan: &Scan,
    position: Position,
    now: Timestamp,
) -> Result<Page, Failure> {
    let mut listing = Listing { scan, now, page: Page::default(), bytes: 0 };
    let mut next = Some(position);
    while let Some(from) = next.filter(|_| listing.has_room()) {
        next = match from {
            Position::Locks(after) => match listing.locks(txn, after)? {
                Some(last) => Some(Position::Locks(Some(last))),
                None if !scan.wants(RecordState::Completed) && !scan.wants(RecordState::Damaged) => None,
                None if scan.scope.is_some() => Some(Position::Index(None)),
                None => Some(Position::Outcomes(None)),
            },
            Position::Index(after) => listing.index(txn, after)?.map(|last| Position::Index(Some(last))),
            Position::Outcomes(after) => {
                listing.outcomes(txn, after)?.map(|last| Position::Outcomes(Some(last)))
            }
        };
    }
    listing.page.next = next.map(Position::cursor).transpose().map_err(Failure::Record)?;
    Ok(listing.page)
}

struct Listing<'a> {
    scan: &'a Scan,
    now: Timestamp,
    page: Page,
    bytes: u64,
}

/// Each of these lists records of a table behind `after`, and returns the key of the last one, unless it has seen the end.
impl Listing<'_> {
    fn locks(
        &mut self,
        txn: &ReadTransaction,
        after: Option<[u8; Key::STORAGE_LEN]>,
    ) -> Result<Option<[u8; Key::STORAGE_LEN]>, Failure> {
        let locks: ReadOnlyTable<StorageKey, &[u8]> = txn.open_table(LOCKS)?;
        let checkpoints: ReadOnlyTable<StorageKey, &[u8]> = txn.open_table(CHECKPOINTS)?;
        let of_scope = self.scan.scope.map(|scope| range::<{ Key::STORAGE_LEN }>(&scope));
        // It stands behind all notes, and before all locks.
        let mark = note_key(HIGH_WATER_MARK);
        let behind_notes = Some(after.map_or(mark, |after| after.max(mark)));
        let Some((from, to)) = behind(behind_notes, of_scope.as_ref()) else { return Ok(None) };
        let mut last = None;
        for entry in locks.range::<&[u8; Key::STORAGE_LEN]>((from.as_ref(), to.as_ref()))? {
            if !self.has_room() {
                return Ok(last);
            }
            let (storage_key, value) = entry?;
            let key = Key::from_storage_key(*storage_key.value());
            let summary = record_of(value.value())
                .and_then(|record| codec::summarize(&key, record, ChecksumScope::Whole).ok());
            let checkpoint = match summary.as_ref().map(|summary| summary.stage) {
                Some(Stage::Unfinished { checkpoint_step: Some(_), .. }) => {
                    checkpoints.get(key.storage_key())?.map_or(0, |checkpoint| checkpoint.value().len())
                }
                _ => 0,
            };
            self.add(key, Key::STORAGE_LEN + value.value().len() + checkpoint, summary);
            last = Some(*storage_key.value());
        }
        Ok(None)
    }

    fn index(
        &mut self,
        txn: &ReadTransaction,
        after: Option<[u8; INDEX_KEY_LEN]>,
    ) -> Result<Option<[u8; INDEX_KEY_LEN]>, Failure> {
        let index: ReadOnlyTable<IndexKey, u128> = txn.open_table(INDEX)?;
        let outcomes: ReadOnlyTable<u128, &[u8]> = txn.open_table(OUTCOMES)?;
        let of_scope = self.scan.scope.map(|scope| range::<INDEX_KEY_LEN>(&scope[..INDEX_SCOPE_LEN]));
        let Some((from, to)) = behind(after, of_scope.as_ref()) else { return Ok(None) };
        let mut last = None;
        for entry in index.range::<&[u8; INDEX_KEY_LEN]>((from.as_ref(), to.as_ref()))? {
            if !self.has_room() {
                return Ok(last);
            }
            let (index_key, place) = entry?;
            // An index that names no outcome is damage of which the key cannot be told.
            if let Some(value) = outcomes.get(place.value())? {
                self.outcome(value.value());
            }
            last = Some(*index_key.value());
        }
        Ok(None)
    }

    fn outcomes(&mut self, txn: &ReadTransaction, after: Option<u128>) -> Result<Option<u128>, Failure> {
        let outcomes: ReadOnlyTable<u128, &[u8]> = txn.open_table(OUTCOMES)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for entry in outcomes.range::<u128>((from, Bound::Unbounded))? {
            if !self.has_room() {
                return Ok(last);
            }
            let (place, value) = entry?;
            self.outcome(value.value());
            last = Some(place.value());
        }
        Ok(None)
    }

    /// Adds an outcome; not one that does not even name its key.
    fn outcome(&mut self, value: &[u8]) {
        match owner_of(value) {
            Ok((key, record)) => {
                self.add(key, value.len(), codec::summarize(&key, record, ChecksumScope::Whole).ok());
            }
            Err(_) => self.page.examined += 1,
        }
    }

    fn add(&mut self, key: Key, bytes: usize, summary: Option<Summary>) {
        let entry = Entry { key, bytes: bytes as u64, as_of: self.now, summary };
        self.page.examined += 1;
        self.bytes += entry.bytes;
        if self.scan.matches(&entry) {
            self.page.entries.push(entry);
        }
    }

    fn has_room(&self) -> bool {
        self.page.examined < self.scan.limit && self.bytes < MOST_BYTES
    }
}

type Bounds<const N: usize> = (Bound<[u8; N]>, Bound<[u8; N]>);

/// All keys of `N` bytes that begin with `prefix`.
fn range<const N: usize>(prefix: &[u8]) -> RangeInclusive<[u8; N]> {
    let (mut first, mut last) = ([0; N], [u8::MAX; N]);
    first[..prefix.len()].copy_from_slice(prefix);
    last[..prefix.len()].copy_from_slice(prefix);
    first..=last
}

/// The keys behind `after`, as far as they are of the scope; `None`: there can be none.
fn behind<const N: usize>(
    after: Option<[u8; N]>,
    of_scope: Option<&RangeInclusive<[u8; N]>>,
) -> Option<Bounds<N>> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let Some(scope) = of_scope else { return Some((from, Bound::Unbounded)) };
    if after.is_some_and(|after| after >= *scope.end()) {
        return None;
    }
    let is_within = after.is_some_and(|after| after >= *scope.start());
    Some((if is_within { from } else { Bound::Included(*scope.start()) }, Bound::Included(*scope.end())))
}
