//! `scan`: one server after the other.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::scan::{Cursor, Entry, Page, Scan};
use idem_core::{Error, Key, Result};
use tokio::time::Instant;

use crate::protocol::listing::{self, Found};
use crate::protocol::records;
use crate::retry::{CallContext, CallError};
use crate::store::inner::Inner;
use crate::topology::cluster::slots::SLOTS;
use crate::topology::servers::Topology;

/// Records that are read at once.
const AT_ONCE: usize = 64;
/// How many keys a server is asked for: enough to be worth a round trip, and few enough that its other clients do not notice.
const MIN_COUNT: usize = 32;
const MAX_COUNT: usize = 1_000;
/// The tag of this store's cursors. A [`Position`] follows it.
const TAG: [u8; 2] = *b"Rs";

/// Where a scan goes on.
struct Position {
    /// Which slots were together on one server. When slots have moved since, the scan begins anew: they may have moved to a
    /// server that it has passed.
    partition: u64,
    /// The lowest slot of the server. Another server that takes its place has the same slots.
    slot: u16,
    /// The server's own cursor, and the id of the process that gave it; none at the beginning.
    cursor: u64,
    process: Bytes,
}

impl Position {
    /// At the first server behind that with the lowest slot `after`.
    fn at_next_server(topology: &Topology, after: Option<u16>) -> Option<Self> {
        let partition = topology.partition();
        topology.next_master(after).map(|slot| Self { partition, slot, cursor: 0, process: Bytes::new() })
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let (TAG, position) = cursor.parts()? else { return None };
        let (partition, position) = position.split_first_chunk()?;
        let (slot, position) = position.split_first_chunk()?;
        let (cursor, process) = position.split_first_chunk()?;
        let process = Bytes::copy_from_slice(process);
        let (partition, slot) = (u64::from_be_bytes(*partition), u16::from_be_bytes(*slot));
        (slot < SLOTS).then(|| Self { partition, slot, cursor: u64::from_be_bytes(*cursor), process })
    }

    fn cursor(&self) -> Result<Cursor> {
        let (partition, slot) = (self.partition.to_be_bytes(), self.slot.to_be_bytes());
        Cursor::new(TAG, &[&partition[..], &slot, &self.cursor.to_be_bytes(), &self.process].concat())
    }
}

impl Inner {
    pub(super) async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        scan.check()?;
        let mut next = match after {
            Some(cursor) => Some(Position::read(cursor).ok_or_else(Cursor::invalid)?),
            None => None,
        };
        if next.as_ref().is_none_or(|position| position.partition != self.topology.partition()) {
            next = Position::at_next_server(&self.topology, None);
        }
        let pattern = listing::pattern(&self.config.prefix, scan.scope.as_ref());
        let (begun, limit) = (Instant::now(), self.config.call_timeout);
        let deadline = begun + limit;
        let (mut page, mut asked) = (Page::default(), 0);
        // A page that takes long ends early, and is not lost.
        while asked < scan.limit
            && (asked == 0 || begun.elapsed() < limit / 4)
            && let Some(position) = next.take()
        {
            let count = (scan.limit - asked).clamp(MIN_COUNT, MAX_COUNT);
            asked += count;
            let (keys, then) = self.keys(&position, &pattern, count, deadline).await?;
            page.examined += keys.len();
            let entries = stream::iter(keys).map(|(key, redis_key)| self.entry(key, redis_key, deadline));
            let entries: Vec<Option<Entry>> = entries.buffer_unordered(AT_ONCE).try_collect().await?;
            page.entries.extend(entries.into_iter().flatten().filter(|entry| scan.matches(entry)));
            next = then;
        }
        page.next = next.as_ref().map(Position::cursor).transpose()?;
        Ok(page)
    }

    /// Keys of records from `position` on, and where to go on.
    async fn keys(
        &self,
        position: &Position,
        pattern: &Bytes,
        count: usize,
        deadline: Instant,
    ) -> Result<(Vec<(Key, Bytes)>, Option<Position>)> {
        let context =
            CallContext { topology: &self.topology, time: &self.time, slot: position.slot, deadline };
        let request = listing::page(position.cursor, position.process.clone(), pattern.clone(), count);
        let answered = context.run(&request, |_| false).await;
        let reply = answered.map_err(failed)?.reply;
        let (process, cursor, found) = listing::read_page(&reply)?;
        // Others may have keys under the same prefix.
        let record = |redis_key: Bytes| Some((records::key_of(&self.config.prefix, &redis_key)?, redis_key));
        let keys = found.into_iter().filter_map(record).collect();
        let next = match cursor {
            0 => {
                let next = Position::at_next_server(&self.topology, Some(position.slot));
                // Behind it may be fewer servers than there were: one may have got a lower slot.
                let is_as_before = self.topology.partition() == position.partition;
                if is_as_before { next } else { Position::at_next_server(&self.topology, None) }
            }
            cursor => Some(Position { cursor, process, ..*position }),
        };
        Ok((keys, next))
    }

    /// What is on record for `key`; `None`: nothing any more.
    async fn entry(&self, key: Key, redis_key: Bytes, deadline: Instant) -> Result<Option<Entry>> {
        let slot = self.topology.slot_of(&redis_key);
        let context = CallContext { topology: &self.topology, time: &self.time, slot, deadline };
        let answered = context.run(&listing::summary(&redis_key), |_| false).await;
        let reply = match answered {
            Ok(answered) => answered.reply,
            // The value is no record at all. Its time is not known, and nothing is computed from it.
            Err(error) if error.is_corrupt() => {
                let as_of = Timestamp::from_micros(self.time.now());
                return Ok(Some(Entry { key, bytes: 0, as_of, summary: None }));
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(listing::read_summary(&reply)?.map(|Found { bytes, as_of, summary }| {
            let bytes = redis_key.len() as u64 + bytes;
            Entry { key, bytes, as_of, summary }
        }))
    }
}

/// What is only read has no effect that could be unknown.
fn failed(error: CallError) -> Error {
    error.error.of_query().into_error(Operation::Scan, false)
}
