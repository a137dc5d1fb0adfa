//! A whole store in one page: a map of encoded records, and `decide` under its lock.
//!
//! It is what a backend has to do and no more, and it has all the capabilities that the kit can test.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use idem_core::backend::LeaseControl;
use idem_core::codec::{self, Cover};
use idem_core::decide::{Answer, Call, Change};
use idem_core::{
    Capabilities, Checkpoint, Claim, ClockMark, Expired, Fenced, Fingerprint, Key, Lease, LockOutcome,
    Operation, Outcome, Record, Result, Sent, SharedClock, Store, StoreClock, Timestamp, Waiters, decide,
};

/// What outlives a `MapStore`, as a file would.
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
    pub(crate) fn open(disk: &Arc<Mutex<Disk>>, clock: SharedClock, max_bytes: u64) -> Self {
        let time = resumed(clock, lock(disk).mark);
        Self { disk: Arc::clone(disk), waiters: Arc::default(), time, max_bytes }
    }

    /// The same records for another user.
    pub(crate) fn another(&self) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            waiters: Arc::clone(&self.waiters),
            time: self.time.clone(),
            max_bytes: self.max_bytes,
        }
    }

    /// Every call that changes a record: one step under one lock.
    fn apply(&self, key: &Key, mut call: Call) -> Result<(Answer, Change)> {
        call.check(self.max_bytes)?;
        let operation = call.operation();
        let mut disk = lock(&self.disk);
        let now = self.time.now();
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = disk.last_sequence + 1;
        }
        let record = disk.read(key, now).map_err(|error| error.during(operation))?;
        let decision = decide(record.as_ref(), call, now);
        match &decision.change {
            Change::None => return Ok((decision.answer, decision.change)),
            Change::Put(record) => {
                disk.records.insert(*key, codec::encode(key, record, Cover::Whole)?);
                disk.last_sequence = disk.last_sequence.max(record.token.sequence);
            }
            Change::Remove => {
                disk.records.remove(key);
            }
        }
        disk.mark = Some(self.time.mark(now));
        self.waiters.wake(key);
        Ok((decision.answer, decision.change))
    }

    /// A call of a holder, whose lease is told of the answer.
    fn fenced(&self, lease: &Lease, call: &Call) -> Result<Fenced> {
        let sent = Sent::now(self.time.source());
        let (answer, change) = self.apply(lease.key(), call.clone())?;
        let fenced = answer.into_fenced()?;
        // A step that was overtaken wrote nothing, so it prolonged nothing.
        lease.answered(call, fenced, change != Change::None, &sent);
        Ok(fenced)
    }
}

impl Disk {
    fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Record>> {
        self.records.get(key).map(|bytes| codec::decode(key, bytes, Cover::Whole, now)).transpose()
    }
}

#[async_trait]
impl Store for MapStore {
    async fn lock(&self, key: &Key, fingerprint: &Fingerprint, claim: &Claim) -> Result<LockOutcome> {
        let sent = Sent::now(self.time.source());
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        Ok(match self.apply(key, call)?.0 {
            Answer::Acquired(grant) => {
                LockOutcome::Acquired(Lease::granted(*key, *fingerprint, claim, grant, &sent))
            }
            Answer::InProgress(remaining) => LockOutcome::InProgress { remaining },
            Answer::Completed(completion) => LockOutcome::Completed(completion),
            Answer::FingerprintMismatch => LockOutcome::FingerprintMismatch,
            answer => unreachable!("{answer:?} to lock"),
        })
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Fenced> {
        self.fenced(lease, &Call::Renew { token: lease.token(), duration })
    }

    async fn checkpoint(
        &self,
        lease: &Lease,
        step: u64,
        progress: Bytes,
        duration: Duration,
    ) -> Result<Fenced> {
        let checkpoint = Checkpoint::new(step, progress);
        self.fenced(lease, &Call::Checkpoint { token: lease.token(), checkpoint, duration })
    }

    async fn complete(&self, lease: &Lease, outcome: Outcome, retention: Duration) -> Result<Fenced> {
        self.fenced(lease, &Call::Complete { token: lease.token(), outcome, retention })
    }

    async fn release(&self, lease: &Lease) -> Result<Fenced> {
        self.fenced(lease, &Call::Release { token: lease.token() })
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let now = self.time.now();
        let record = lock(&self.disk).read(key, now).map_err(|error| error.during(Operation::Get))?;
        Ok(record.filter(|record| !record.is_expired(now)))
    }

    async fn settled(&self, key: &Key, timeout: Duration) -> Result<bool> {
        self.waiters.settled(self, key, timeout).await
    }

    async fn remove(&self, key: &Key, force: bool) -> Result<bool> {
        Ok(matches!(self.apply(key, Call::Remove { force })?.0, Answer::Removed(true)))
    }

    async fn expire(&self, budget: usize) -> Result<Expired> {
        let (mut disk, now) = (lock(&self.disk), self.time.now());
        let expired = |(key, bytes): (&Key, &Vec<u8>)| {
            // What cannot be read is not known to have expired.
            let record = codec::decode(key, bytes, Cover::Whole, now).ok()?;
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

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.durable = true;
        capabilities.shared = true;
        capabilities.strict_sequence = true;
        capabilities.notifies = true;
        capabilities
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step above leaves the map whole, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
