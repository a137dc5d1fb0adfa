//! An estimate of the servers' time. It is used for sequences only; no lease depends on it.

use std::sync::atomic::{AtomicU64, Ordering};

use idem_core::clock::SharedClock;

/// A hybrid logical clock: it follows the servers' clocks by the monotonic clock of this process, and never returns a number
/// twice.
pub(crate) struct ServerTime {
    clock: SharedClock,
    /// Difference between the clock that is furthest ahead of all servers' and the monotonic clock, in microseconds.
    offset: AtomicU64,
    last: AtomicU64,
}

impl ServerTime {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { clock, offset: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Records that a server's clock shows `micros` now. The clock that is furthest ahead counts, so that sequences rise.
    pub(crate) fn learn(&self, micros: u64) {
        self.offset.fetch_max(micros.saturating_sub(self.monotonic()), Ordering::AcqRel);
    }

    /// About the servers' time, in microseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.offset.load(Ordering::Acquire).saturating_add(self.monotonic())
    }

    /// A sequence higher than any that this process knows of.
    pub(crate) fn next_sequence(&self) -> u64 {
        let now = self.now();
        let next = |last: u64| now.max(last.saturating_add(1));
        let last = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        next(last.unwrap_or_default())
    }

    /// Records that a server has assigned `sequence`.
    pub(crate) fn observe(&self, sequence: u64) {
        self.last.fetch_max(sequence, Ordering::AcqRel);
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_micros()).unwrap_or(u64::MAX)
    }
}
