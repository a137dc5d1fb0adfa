//! The store's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idem_core::{ClockMark, Sent, SharedClock, StoreClock, Timestamp};

/// A store's own time, which goes on from wherever another store has brought the database that they share.
#[derive(Debug)]
pub(crate) struct Time {
    clock: StoreClock,
    /// Microseconds by which the database was found to be ahead of the clock.
    ahead: AtomicU64,
}

impl Time {
    pub(crate) fn start(clock: SharedClock, high_water: Timestamp) -> Self {
        let mark = ClockMark { time: high_water, wall: high_water };
        let started = StoreClock::start(Arc::clone(&clock));
        let clock = StoreClock::resume(clock, mark, Duration::MAX).unwrap_or(started);
        Self { clock, ahead: AtomicU64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ahead(self.clock.now())
    }

    /// The store's time when `sent` was taken.
    pub(crate) fn when(&self, sent: &Sent) -> Timestamp {
        self.ahead(self.clock.when(sent))
    }

    /// The time is at least `found`, and goes on from there.
    pub(crate) fn raise(&self, found: Timestamp) {
        let behind = found.as_micros().saturating_sub(self.now().as_micros());
        if behind > 0 {
            self.ahead.fetch_add(behind, Ordering::AcqRel);
        }
    }

    pub(crate) fn source(&self) -> &SharedClock {
        self.clock.source()
    }

    fn ahead(&self, at: Timestamp) -> Timestamp {
        at + Duration::from_micros(self.ahead.load(Ordering::Acquire))
    }
}
