//! A whole store in little code: a map of encoded records, and `decide` under its lock.
//!
//! It does what a backend has to do and no more, and it has all the capabilities that the kit can test.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::backend::{
    Answer, Applied, Call, Change, ClockMark, Sent, StoreClock, Transition, Waiters, decide,
    store_from_transition,
};
use idem_core::clock::{SharedClock, Timestamp};
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::scan::{Cursor, Entry, Page, Scan};
use idem_core::{Capabilities, Expired, Key, Result};

/// The data that outlives a `MapStore`, as a file would.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    mark: Option<ClockMark>,
    last_sequence: u64,
}

#[derive(Debug)]
pub(crate) struct MapStore {
    disk: Arc<Mutex<Disk>>,
    waiters: Arc<Waiters>,
    time: StoreClock,
    max_bytes: u64,
    strict_sequence: bool,
}

/// The time of a store that kept `mark`, however long it was closed.
fn resumed(clock: SharedClock, mark: Option<ClockMark>) -> StoreClock {
    let Some(mark) = mark else { return StoreClock::start(clock) };
    match StoreClock::resume(clock, mark, Duration::MAX) {
        Ok(resumed) => resumed,
        Err(error) => unreachable!("no jump is too long: {error}"),
    }
}

impl MapStore {
    pub(crate) fn open(
        disk: &Arc<Mutex<Disk>>,
        clock: SharedClock,
        max_bytes: u64,
        strict_sequence: bool,
    ) -> Self {
        let time = resumed(clock, lock(disk).mark);
        Self { disk: Arc::clone(disk), waiters: Arc::default(), time, max_bytes, strict_sequence }
    }

    /// A second store on the same records.
    pub(crate) fn another(&self) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            waiters: Arc::clone(&self.waiters),
            time: self.time.clone(),
            max_bytes: self.max_bytes,
            strict_sequence: self.strict_sequence,
        }
    }

    /// Carries out a call that changes a record: one step under one lock.
    fn step(&self, key: &Key, mut call: Call) -> Result<Applied> {
        let operation = call.operation();
        let mut disk = lock(&self.disk);
        let now = self.time.now();
        if let Call::Lock { min_sequence, .. } = &mut call
            && self.strict_sequence
        {
            *min_sequence = disk.last_sequence + 1;
        }
        let record = match disk.read(key, now) {
            Ok(record) => record,
            // Whatever it is.
            Err(_) if matches!(call, Call::Remove { force: true }) => {
                disk.records.remove(key);
                return Ok(Applied { answer: Answer::Removed(true), wrote: true });
            }
            Err(error) => return Err(error.during(operation)),
        };
        let decision = decide(record.as_ref(), call, now);
        match &decision.change {
            Change::None => return Ok(Applied { answer: decision.answer, wrote: false }),
            Change::Put(record) => {
                disk.records.insert(*key, codec::encode(key, record, ChecksumScope::Whole)?);
                disk.last_sequence = disk.last_sequence.max(record.token.sequence);
            }
            Change::Remove => {
                disk.records.remove(key);
            }
        }
        disk.mark = Some(self.time.mark(now));
        self.waiters.wake(key);
        Ok(Applied { answer: decision.answer, wrote: true })
    }
}

impl Disk {
    fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Record>> {
        self.records.get(key).map(|bytes| codec::decode(key, bytes, ChecksumScope::Whole, now)).transpose()
    }
}

impl Transition for MapStore {
    async fn apply(&self, key: &Key, call: Call, _sent: &Sent) -> Result<Applied> {
        self.step(key, call)
    }

    fn sent(&self, _key: &Key) -> Sent {
        Sent::now(self.time.source())
    }

    fn max_outcome(&self) -> u64 {
        self.max_bytes
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let now = self.time.now();
        let record = lock(&self.disk).read(key, now).map_err(|error| error.during(Operation::Get))?;
        Ok(record.filter(|record| !record.is_expired(now)))
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        self.waiters.settled(self, key, timeout).await
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        let (mut disk, now) = (lock(&self.disk), self.time.now());
        let expired = |(key, bytes): (&Key, &Vec<u8>)| {
            // A record that cannot be read is not known to have expired.
            let record = codec::decode(key, bytes, ChecksumScope::Whole, now).ok()?;
            record.is_expired(now).then_some(*key)
        };
        let mut expired: Vec<_> = disk.records.iter().filter_map(expired).collect();
        let more = expired.len() > budget;
        expired.truncate(budget);
        for key in &expired {
            disk.records.remove(key);
        }
        Ok(Expired { removed: expired.len(), more })
    }

    async fn scan(&self, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        let from = after.map(|cursor| position(cursor).ok_or_else(Cursor::invalid)).transpose()?;
        let (disk, as_of) = (lock(&self.disk), self.time.now());
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = disk.records.range((from, Bound::Unbounded));
        let (mut page, mut last) = (Page::default(), None);
        for (key, bytes) in behind.by_ref().take(scan.limit) {
            let summary = codec::summarize(key, bytes, ChecksumScope::Whole).ok();
            let entry = Entry { key: *key, bytes: (Key::STORAGE_LEN + bytes.len()) as u64, as_of, summary };
            page.examined += 1;
            page.entries.extend(scan.matches(&entry).then_some(entry));
            last = Some(key);
        }
        let more = behind.next().is_some();
        page.next = last.filter(|_| more).map(|last| Cursor::new(CURSOR, last.storage_key())).transpose()?;
        Ok(page)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.durable = true;
        capabilities.shared = true;
        capabilities.strict_sequence = self.strict_sequence;
        capabilities.notifies = true;
        capabilities.scans = true;
        capabilities
    }
}

store_from_transition!(MapStore);

/// What this store's cursors begin with. The key that was listed last follows.
const CURSOR: [u8; 2] = *b"\xFFm";

fn position(cursor: &Cursor) -> Option<Key> {
    match cursor.parts()? {
        (CURSOR, key) => key.try_into().ok().map(Key::from_storage_key),
        _ => None,
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step leaves the map whole, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
