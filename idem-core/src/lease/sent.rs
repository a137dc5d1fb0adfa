use std::time::Duration;

use crate::clock::{SharedClock, micros, ticks};

/// The moment before a call was sent, by the caller's monotonic clock.
#[derive(Debug, Clone)]
pub struct Sent {
    clock: SharedClock,
    at: Duration,
}

impl Sent {
    /// Now.
    #[must_use]
    pub fn now(clock: &SharedClock) -> Self {
        Self { at: clock.monotonic(), clock: clock.clone() }
    }

    /// The time since then.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.at)
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    pub(crate) fn reading(&self) -> Duration {
        self.at
    }

    /// That moment plus `duration`, in microseconds of the clock's monotonic reading.
    pub(super) fn until(&self, duration: Duration) -> u64 {
        ticks(self.at).saturating_add(micros(duration))
    }
}
