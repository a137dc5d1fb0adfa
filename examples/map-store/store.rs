//! A store of your own: a `BTreeMap` behind a mutex.
//!
//! A store has to implement one step, [`Transition::apply`]: load the record, ask `decide` what becomes of it, and keep
//! the result. On a database, a transaction takes the place of the mutex, and a table of `codec::encode`d records that of
//! the map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use idem_core::backend::{
    Applied, Call, Change, Sent, StoreClock, Transition, Waiters, decide, store_from_transition,
};
use idem_core::clock::SharedClock;
use idem_core::record::Record;
use idem_core::scan::{Cursor, Entry, Page, Scan};
use idem_core::{Capabilities, Expired, Key, Outcome, Result};

/// Keeps idempotency keys in the memory of this process, without a bound.
#[derive(Debug)]
pub(crate) struct MapStore {
    kept: Mutex<Kept>,
    clock: StoreClock,
    waiters: Waiters,
    max_outcome: u64,
}

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<Key, Record>,
    /// The highest sequence that was given out, also for keys that are gone.
    last_sequence: u64,
}

impl MapStore {
    /// A store for outcomes and checkpoints of up to `max_outcome` bytes. Programs pass the system's clock, tests one
    /// that they move by hand.
    pub(crate) fn new(max_outcome: u64, clock: SharedClock) -> Self {
        let clock = StoreClock::start(clock);
        Self { kept: Mutex::default(), clock, waiters: Waiters::new(), max_outcome }
    }

    /// Nothing below panics halfway through a change, so a poisoned mutex can be used.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transition for MapStore {
    async fn apply(&self, key: &Key, mut call: Call, _sent: &Sent) -> Result<Applied> {
        let mut kept = self.kept();
        // Read under the lock: for one key, time must not go back from one call to the next.
        let now = self.clock.now();
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = kept.last_sequence + 1;
        }
        let decision = decide(kept.records.get(key), call, now);
        let wrote = decision.change != Change::None;
        match decision.change {
            Change::None => {}
            Change::Put(record) => {
                kept.last_sequence = kept.last_sequence.max(record.token.sequence);
                kept.records.insert(*key, record);
            }
            Change::Remove => {
                kept.records.remove(key);
            }
        }
        Ok(Applied { answer: decision.answer, wrote })
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let (kept, now) = (self.kept(), self.clock.now());
        let record = kept.records.get(key).filter(|record| !record.is_expired(now));
        Ok(record.map(|record| Record { as_of: now, ..record.clone() }))
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        let (mut kept, now) = (self.kept(), self.clock.now());
        let expired = kept.records.iter().filter(|(_, record)| record.is_expired(now)).map(|(key, _)| *key);
        let mut expired: Vec<_> = expired.take(budget.saturating_add(1)).collect();
        let more = expired.len() > budget;
        expired.truncate(budget);
        for key in &expired {
            kept.records.remove(key);
        }
        Ok(Expired { removed: expired.len(), more })
    }

    /// Optional: with it, the store's records can be listed, counted, and erased by scope.
    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        let from = match after {
            None => Bound::Unbounded,
            Some(cursor) => Bound::Excluded(last_of(cursor).ok_or_else(Cursor::invalid)?),
        };
        let (kept, now) = (self.kept(), self.clock.now());
        let mut behind = kept.records.range((from, Bound::Unbounded));
        let (mut page, mut last) = (Page::default(), None);
        for (key, record) in behind.by_ref().take(scan.limit) {
            let record = Record { as_of: now, ..record.clone() };
            let bytes = size_of::<Record>() + record.outcome().map_or(0, Outcome::size);
            let entry = Entry::of(*key, &record, bytes as u64);
            page.examined += 1;
            page.entries.extend(scan.matches(&entry).then_some(entry));
            last = Some(Cursor::new(TAG, key.storage_key())?);
        }
        page.next = last.filter(|_| behind.next().is_some());
        Ok(page)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_strict_sequence().with_notifies().with_scans()
    }

    fn sent(&self, _key: &Key) -> Sent {
        Sent::now(self.clock.source())
    }

    fn max_outcome(&self) -> u64 {
        self.max_outcome
    }

    // Without the next two functions, callers that wait would poll.

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        self.waiters.settled(self, key, timeout).await
    }

    fn lease_ended(&self, key: &Key) {
        self.waiters.wake(key);
    }
}

store_from_transition!(MapStore);

/// What the cursors of this kind of store begin with, and no others. The key that was listed last follows.
const TAG: [u8; 2] = *b"Mx";

fn last_of(cursor: &Cursor) -> Option<Key> {
    match cursor.parts()? {
        (TAG, key) => key.try_into().ok().map(Key::from_storage_key),
        _ => None,
    }
}
