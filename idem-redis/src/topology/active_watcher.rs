//! Which of a store's runtimes watches its servers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A watcher without a heartbeat for this long is replaced, since its runtime is not running.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which task watches the servers, and its last heartbeat.
pub(crate) struct ActiveWatcher {
    created_at: Instant,
    /// Number of the active task; 0 when there is none.
    number: AtomicU64,
    /// The last heartbeat of the active task, in milliseconds after `created_at`.
    last_heartbeat: AtomicU64,
    /// The highest number that was given to a task.
    last_number: AtomicU64,
    /// When the next check of the servers is due, in milliseconds after `created_at`. Kept here, so that checks become due
    /// even when every task lives for less than the check interval.
    next_check: AtomicU64,
}

impl ActiveWatcher {
    pub(crate) fn new(check_interval: Duration) -> Self {
        Self {
            created_at: Instant::now(),
            number: AtomicU64::new(0),
            last_heartbeat: AtomicU64::new(0),
            last_number: AtomicU64::new(0),
            next_check: AtomicU64::new(millis(check_interval)),
        }
    }

    /// How long until the next check is due.
    pub(super) fn until_check(&self) -> Duration {
        Duration::from_millis(self.next_check.load(Ordering::Relaxed))
            .saturating_sub(self.created_at.elapsed())
    }

    /// Records that a check has ended: the next one is due after `check_interval`.
    pub(super) fn checked(&self, check_interval: Duration) {
        self.next_check.store(millis(self.created_at.elapsed() + check_interval), Ordering::Relaxed);
    }

    /// The number of a new task, if no task is active or the active one has missed its heartbeats.
    pub(super) fn take_over(&self) -> Option<u64> {
        let before = self.number.load(Ordering::Acquire);
        let last_heartbeat = Duration::from_millis(self.last_heartbeat.load(Ordering::Relaxed));
        if before != 0 && self.created_at.elapsed() < last_heartbeat + HEARTBEAT_TIMEOUT {
            return None;
        }
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        self.number.compare_exchange(before, number, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.is_active(number).then_some(number)
    }

    /// Whether task `number` is still the active one. Counts as a heartbeat of that task.
    pub(super) fn is_active(&self, number: u64) -> bool {
        if self.number.load(Ordering::Acquire) != number {
            return false;
        }
        self.last_heartbeat.store(millis(self.created_at.elapsed()), Ordering::Relaxed);
        true
    }

    /// Records that task `number` ends.
    pub(super) fn resign(&self, number: u64) {
        let none = 0;
        // Unless another has taken over.
        let _ = self.number.compare_exchange(number, none, Ordering::AcqRel, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
