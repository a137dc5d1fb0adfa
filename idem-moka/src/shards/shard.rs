//! Shards: parts of the keys, whose locks make each call one atomic step.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use idem_core::backend::Sent;
use idem_core::clock::{Clock, SharedClock, Timestamp};

use crate::accounting::scope::CountedIn;
use crate::config::{MokaConfig, RECORD_OVERHEAD};
use crate::hash::KeyHashValue;
use crate::shards::table::Table;

/// How many expired records of a kind are removed by a call that adds one to their shard. More than one, so that their
/// number goes down.
pub(crate) const REMOVED_PER_CALL: usize = 2;

/// Shards for each thread: enough that threads rarely contend for one.
const FOR_EACH_THREAD: usize = 8;
/// Records for each shard of a full store: few enough that growing a shard's table takes little time.
const RECORDS: u64 = 1_024;
/// Most shards: few enough that they and their locked records stay in the processor's cache.
const MOST: usize = 256;
/// How many shards share a note of when their next record expires, and are swept together.
const GROUP: usize = 64;

/// All keys, in parts.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Box<[Shard]>,
    groups: Box<[Group]>,
}

/// One part of the keys.
#[derive(Debug)]
#[repr(align(128))] // No two shards share a cache line.
pub(crate) struct Shard {
    records: RwLock<ShardRecords>,
    clock: SharedClock,
}

/// The records of one part of the keys. A key's record is in one of the two.
#[derive(Debug, Default)]
pub(crate) struct ShardRecords {
    /// Held, lapsed within their retention, or released with a checkpoint.
    pub(crate) locked: Table,
    /// Empty in a store that evicts, which keeps them in [moka](crate::evict).
    pub(crate) completed: Table,
    /// The time of the last call. Calls read the clock before they wait for the lock.
    now: Timestamp,
    /// The scope that was last counted.
    pub(crate) last_scope: CountedIn,
}

/// The store's clock with its own reference count for each shard. Calls and leases clone the clock, and threads in
/// different shards then do not contend for one counter.
#[derive(Debug)]
struct ShardClock(SharedClock);

impl Clock for ShardClock {
    fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

/// The two kinds of records, which are swept separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Locked,
    Completed,
}

/// A lower bound of when the next record of each kind in a group expires, in microseconds.
#[derive(Debug)]
struct Group {
    locked: AtomicU64,
    completed: AtomicU64,
}

impl Shards {
    pub(crate) fn new(config: &MokaConfig, clock: &SharedClock) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let records = config.max_entries.min(config.max_bytes / RECORD_OVERHEAD);
        let by_size = usize::try_from(records / RECORDS).unwrap_or(MOST);
        let shards = by_size.max(threads.saturating_mul(FOR_EACH_THREAD)).min(MOST).next_power_of_two();
        Self {
            shards: (0..shards).map(|_| Shard::new(clock)).collect(),
            groups: (0..shards.div_ceil(GROUP)).map(|_| Group::new()).collect(),
        }
    }

    pub(crate) fn of(&self, hash: KeyHashValue) -> &Shard {
        &self.shards[self.place(hash)]
    }

    pub(crate) fn at(&self, place: usize) -> &Shard {
        &self.shards[place]
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Shard> {
        self.shards.iter()
    }

    /// To be called with a shard's lock held, after a record was added to it or changed.
    pub(crate) fn update_next_expiry(&self, hash: KeyHashValue, records: &ShardRecords, kind: Kind) {
        if let Some(next) = records.next_due(kind) {
            self.groups[self.place(hash) / GROUP].expires(kind, next);
        }
    }

    /// The groups in which a record of `kind` may have expired at `now`.
    pub(crate) fn due(&self, kind: Kind, now: Timestamp) -> impl Iterator<Item = usize> {
        let due = move |group: &Group| group.next(kind).load(Ordering::Relaxed) <= now.as_micros();
        self.groups.iter().enumerate().filter(move |(_, group)| due(group)).map(|(place, _)| place)
    }

    pub(crate) fn group(&self, group: usize) -> impl Iterator<Item = &Shard> {
        self.shards.iter().skip(group * GROUP).take(GROUP)
    }

    /// Finds out again when the next record of `kind` expires in a group.
    pub(crate) fn refresh_next_expiry(&self, group: usize, kind: Kind) {
        let known = &self.groups[group];
        // A record that is added meanwhile is either seen below, or noted by the call that adds it.
        known.next(kind).store(u64::MAX, Ordering::SeqCst);
        for shard in self.group(group) {
            if let Some(next) = shard.read().next_due(kind) {
                known.expires(kind, next);
            }
        }
    }

    /// The number of the shard of a key.
    fn place(&self, hash: KeyHashValue) -> usize {
        hash.spread(self.shards.len())
    }
}

impl Shard {
    fn new(clock: &SharedClock) -> Self {
        Self { records: RwLock::default(), clock: Arc::new(ShardClock(clock.clone())) }
    }

    /// The moment of a call on one of this shard's keys.
    pub(crate) fn sent(&self) -> Sent {
        Sent::now(&self.clock)
    }

    /// While this is held, no record of this shard changes, except that moka may evict a completed one.
    ///
    /// A poisoned lock is usable: the parts of a record change together, after everything that could panic.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, ShardRecords> {
        self.records.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, ShardRecords> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShardRecords {
    /// The time at which a call that was sent at `sent` is carried out. For one key it never goes back.
    pub(crate) fn time(&mut self, sent: Timestamp) -> Timestamp {
        self.now = self.now.max(sent);
        self.now
    }

    pub(crate) fn of(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Locked => &mut self.locked,
            Kind::Completed => &mut self.completed,
        }
    }

    fn next_due(&self, kind: Kind) -> Option<Timestamp> {
        match kind {
            Kind::Locked => self.locked.next_due(),
            Kind::Completed => self.completed.next_due(),
        }
    }

    /// Whether a record may have expired at `now`.
    pub(crate) fn is_due(&self, kind: Kind, now: Timestamp) -> bool {
        self.next_due(kind).is_some_and(|next| next <= now)
    }
}

impl Group {
    fn new() -> Self {
        Self { locked: AtomicU64::new(u64::MAX), completed: AtomicU64::new(u64::MAX) }
    }

    fn next(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Locked => &self.locked,
            Kind::Completed => &self.completed,
        }
    }

    fn expires(&self, kind: Kind, next: Timestamp) {
        let known = self.next(kind);
        // Read before it is written: few records are the next to expire.
        if next.as_micros() < known.load(Ordering::SeqCst) {
            known.fetch_min(next.as_micros(), Ordering::SeqCst);
        }
    }
}
