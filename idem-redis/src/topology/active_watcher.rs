//! Which of a store's runtimes watches its servers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A watcher without a heartbeat for this long is replaced: its runtime is not running.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which task watches the servers, and when it last showed that it is alive.
pub(crate) struct ActiveWatcher {
    begun: Instant,
    /// Number of the active task; 0 where there is none.
    number: AtomicU64,
    /// Its last heartbeat, in milliseconds after `begun`.
    seen: AtomicU64,
    last: AtomicU64,
    /// When the servers are to be checked next, in milliseconds after `begun`. Kept here, so that checks become due even when
    /// every task lives for less than the check interval.
    next_check: AtomicU64,
}

impl ActiveWatcher {
    pub(crate) fn new(check_interval: Duration) -> Self {
        Self {
            begun: Instant::now(),
            number: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            last: AtomicU64::new(0),
            next_check: AtomicU64::new(millis(check_interval)),
        }
    }

    pub(super) fn until_check(&self) -> Duration {
        Duration::from_millis(self.next_check.load(Ordering::Relaxed)).saturating_sub(self.begun.elapsed())
    }

    pub(super) fn checked(&self, check_interval: Duration) {
        self.next_check.store(millis(self.begun.elapsed() + check_interval), Ordering::Relaxed);
    }

    /// The number of a new task, where none is active or the active one has missed its heartbeats.
    pub(super) fn take_over(&self) -> Option<u64> {
        let before = self.number.load(Ordering::Acquire);
        let seen = Duration::from_millis(self.seen.load(Ordering::Relaxed));
        if before != 0 && self.begun.elapsed() < seen + HEARTBEAT_TIMEOUT {
            return None;
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.number.compare_exchange(before, number, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.is_still(number).then_some(number)
    }

    /// Whether task `number` is still the active one. Counts as its heartbeat.
    pub(super) fn is_still(&self, number: u64) -> bool {
        if self.number.load(Ordering::Acquire) != number {
            return false;
        }
        self.seen.store(millis(self.begun.elapsed()), Ordering::Relaxed);
        true
    }

    /// Task `number` ends.
    pub(super) fn resign(&self, number: u64) {
        let none = 0;
        // Unless another has taken over.
        let _ = self.number.compare_exchange(number, none, Ordering::AcqRel, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
