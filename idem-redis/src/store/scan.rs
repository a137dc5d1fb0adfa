//! `scan`: one server after the other.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::scan::{Cursor, Entry, Page, Scan};
use idem_core::{Key, Result};
use tokio::time::Instant;

use crate::protocol::listing::{self, Found};
use crate::protocol::records;
use crate::retry::CallContext;
use crate::store::inner::Inner;
use crate::topology::cluster::slots::SLOTS;

/// Records that are read at once.
const AT_ONCE: usize = 64;
/// How many keys a server is asked for: enough to be worth a round trip, and few enough that its other clients do not notice.
const FEWEST: usize = 32;
const MOST: usize = 1_000;
/// Position: see [`Position`].
const TAG: [u8; 2] = *b"Rs";

/// Where a scan goes on.
struct Position {
    /// The lowest slot of the server. Another server that takes its place has the same slots.
    slot: u16,
    /// The server's own cursor, and the id of the process that gave it; none at the beginning.
    cursor: u64,
    process: Bytes,
}

impl Position {
    fn beginning_of(slot: u16) -> Self {
        Self { slot, cursor: 0, process: Bytes::new() }
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let (TAG, position) = cursor.parts()? else { return None };
        let (slot, position) = position.split_first_chunk()?;
        let (cursor, process) = position.split_first_chunk()?;
        let process = Bytes::copy_from_slice(process);
        Some(Self { slot: u16::from_be_bytes(*slot), cursor: u64::from_be_bytes(*cursor), process })
    }

    fn cursor(&self) -> Option<Cursor> {
        let position = [&self.slot.to_be_bytes()[..], &self.cursor.to_be_bytes(), &self.process].concat();
        Cursor::new(TAG, &position)
    }
}

impl Inner {
    pub(super) async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        scan.check()?;
        let mut next = match after {
            Some(cursor) => Some(Position::read(cursor).ok_or_else(Cursor::refused)?),
            None => self.topology.next_master(None).map(Position::beginning_of),
        };
        let pattern = listing::pattern(&self.config.prefix, scan.scope.as_ref());
        let deadline = Instant::now() + self.config.call_timeout;
        let (mut page, mut asked) = (Page::default(), 0);
        while asked < scan.limit
            && let Some(position) = next.take()
        {
            let count = (scan.limit - asked).clamp(FEWEST, MOST);
            asked += count;
            let (keys, then) = self.keys(&position, &pattern, count, deadline).await?;
            page.looked_at += keys.len();
            let entries = stream::iter(keys).map(|(key, redis_key)| self.entry(key, redis_key, deadline));
            let entries: Vec<Option<Entry>> = entries.buffer_unordered(AT_ONCE).try_collect().await?;
            page.entries.extend(entries.into_iter().flatten().filter(|entry| scan.lists(entry)));
            next = then;
        }
        page.next = next.as_ref().and_then(Position::cursor);
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
        if position.slot >= SLOTS {
            return Err(Cursor::refused());
        }
        let context =
            CallContext { topology: &self.topology, time: &self.time, slot: position.slot, deadline };
        let request = listing::page(position.cursor, position.process.clone(), pattern.clone(), count);
        let answered = context.run(&request, |_| false).await;
        let reply = answered.map_err(|error| error.into_error(Operation::Scan))?.reply;
        let (process, cursor, found) = listing::read_page(&reply)?;
        // Others may have keys under the same prefix.
        let record = |redis_key: Bytes| Some((records::key_of(&self.config.prefix, &redis_key)?, redis_key));
        let keys = found.into_iter().filter_map(record).collect();
        let next = match cursor {
            0 => self.topology.next_master(Some(position.slot)).map(Position::beginning_of),
            cursor => Some(Position { slot: position.slot, cursor, process }),
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
            Err(error) => return Err(error.into_error(Operation::Scan)),
        };
        Ok(listing::read_summary(&reply)?.map(|Found { bytes, as_of, summary }| {
            let bytes = redis_key.len() as u64 + bytes;
            Entry { key, bytes, as_of, summary }
        }))
    }
}
