//! `scan`: listing the records, a few at a time.

use idem_core::scan::{Cursor, Entry, Page, RecordState, Scan};
use idem_core::{Key, Result};
use tokio::task::yield_now;

use crate::config::RECORD_OVERHEAD;
use crate::evict::evictable_records::EvictableRecords;
use crate::hash::HashedKey;
use crate::records::store_records::StoreRecords;
use crate::shards::shard::ShardRecords;
use crate::shards::table;

/// Records taken under one lock before yielding to other tasks: some ten microseconds.
const STEP: usize = 128;
/// The records in the shards, in the order of shard, hash and key. Position: the number of the shard, and the key listed
/// last, if any of this shard was.
const IN_SHARDS: [u8; 2] = *b"ms";
/// The completed records of a store that evicts, in the order of part, expiry and hash. Position: the number of the part,
/// and expiry and hash of the record listed last, if any of this part was.
const IN_MOKA: [u8; 2] = *b"me";

/// Behind which record the scan goes on.
enum Position {
    Shard { place: usize, after: Option<HashedKey> },
    Part { place: usize, after: Option<u128> },
}

impl StoreRecords {
    /// Lists records behind `after`.
    ///
    /// # Cancel safety
    /// Safe: changes nothing.
    pub(crate) async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        let mut position = Some(self.position(after)?);
        let mut page = Page::default();
        while page.examined < scan.limit
            && let Some(from) = position
        {
            let room = STEP.min(scan.limit - page.examined);
            position = match (from, &self.evictable) {
                (Position::Shard { place, after }, _) => self.scan_shard(scan, place, after, room, &mut page),
                (Position::Part { place, after }, Some(evictable)) => {
                    self.scan_part(evictable, scan, place, after, room, &mut page)
                }
                (Position::Part { .. }, None) => None,
            };
            yield_now().await;
        }
        page.next = position.as_ref().map(cursor).transpose()?;
        Ok(page)
    }

    fn position(&self, after: Option<&Cursor>) -> Result<Position> {
        let Some(cursor) = after else { return Ok(Position::Shard { place: 0, after: None }) };
        self.position_of(cursor).ok_or_else(Cursor::invalid)
    }

    fn position_of(&self, cursor: &Cursor) -> Option<Position> {
        let (tag, position) = cursor.parts()?;
        let (place, after) = position.split_first_chunk()?;
        let place = u32::from_be_bytes(*place) as usize;
        let is_begun = !after.is_empty();
        match tag {
            IN_SHARDS if place < self.shards.len() => {
                let key = || Some(self.hashed(&Key::from_storage_key(after.try_into().ok()?)));
                Some(Position::Shard { place, after: if is_begun { Some(key()?) } else { None } })
            }
            IN_MOKA if place < self.evictable.as_ref()?.parts() => {
                let listed = || Some(u128::from_be_bytes(after.try_into().ok()?));
                Some(Position::Part { place, after: if is_begun { Some(listed()?) } else { None } })
            }
            _ => None,
        }
    }

    /// Lists at most `room` records of a shard; returns where to go on.
    fn scan_shard(
        &self,
        scan: &Scan,
        place: usize,
        after: Option<HashedKey>,
        room: usize,
        page: &mut Page,
    ) -> Option<Position> {
        let records = self.shards.at(place).read();
        let now = self.clock.now();
        let mut found = behind(&records, after, scan.wants(RecordState::Completed));
        let more = found.len() > room;
        if more {
            found.select_nth_unstable_by_key(room, |entry| *entry.key());
            found.truncate(room);
        }
        let last = found.iter().map(|entry| *entry.key()).max();
        page.examined += found.len();
        let entries = found.into_iter().map(|entry| {
            let bytes = RECORD_OVERHEAD + entry.checkpoint_bytes() + entry.outcome_bytes();
            Entry { as_of: now, ..Entry::of(*entry.key().key(), &entry.record, bytes) }
        });
        page.entries.extend(entries.filter(|entry| scan.matches(entry)));
        if more {
            return Some(Position::Shard { place, after: last });
        }
        if place + 1 < self.shards.len() {
            return Some(Position::Shard { place: place + 1, after: None });
        }
        let in_moka = self.evictable.is_some() && scan.wants(RecordState::Completed);
        in_moka.then_some(Position::Part { place: 0, after: None })
    }

    /// Lists at most `room` records of a part; returns where to go on.
    fn scan_part(
        &self,
        evictable: &EvictableRecords,
        scan: &Scan,
        place: usize,
        after: Option<u128>,
        room: usize,
        page: &mut Page,
    ) -> Option<Position> {
        let now = self.clock.now();
        let (found, last) = evictable.behind(place, after, room);
        page.examined += found.len();
        let entries = found.into_iter().map(|kept| {
            let (key, bytes) = (kept.key(), RECORD_OVERHEAD + kept.outcome_bytes());
            Entry::of(key, &kept.record(now), bytes)
        });
        page.entries.extend(entries.filter(|entry| scan.matches(entry)));
        match last {
            Some(last) => Some(Position::Part { place, after: Some(last) }),
            None if place + 1 < evictable.parts() => Some(Position::Part { place: place + 1, after: None }),
            None => None,
        }
    }
}

/// The records of a shard behind `after`, in no order.
fn behind(records: &ShardRecords, after: Option<HashedKey>, completed: bool) -> Vec<&table::Entry> {
    let completed = completed.then(|| records.completed.behind(after)).into_iter().flatten();
    records.locked.behind(after).chain(completed).collect()
}

fn cursor(position: &Position) -> Result<Cursor> {
    let (tag, place, after) = match position {
        Position::Shard { place, after } => {
            (IN_SHARDS, *place, after.map(|after| after.key().storage_key().to_vec()))
        }
        Position::Part { place, after } => (IN_MOKA, *place, after.map(|after| after.to_be_bytes().to_vec())),
    };
    let place = u32::try_from(place).map_err(|_| Cursor::invalid())?.to_be_bytes();
    Cursor::new(tag, &[&place[..], &after.unwrap_or_default()].concat())
}
