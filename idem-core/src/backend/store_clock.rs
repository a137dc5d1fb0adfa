//! A store's own time. `docs/time.md` says which clock governs what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{SharedClock, Timestamp, ticks};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::lease::Sent;

/// A store's own time. It never goes back, and a step of the wall clock neither freezes nor ends leases.
///
/// While the store is open its time follows the monotonic clock alone. A durable store keeps a [`ClockMark`] with what
/// it commits, and [`resume`](StoreClock::resume)s from it: its time then advances by what the wall clock has counted
/// meanwhile. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct StoreClock {
    clock: SharedClock,
    start: Timestamp,
    /// Ticks of the monotonic clock at the start.
    started: u64,
    /// A reading further ahead of the wall clock than this was made by a wrong clock.
    max_jump: Duration,
    shared: Arc<Raised>,
}

/// What was learnt since the start.
#[derive(Debug)]
struct Raised {
    /// Microseconds by which another store has advanced the time.
    ahead: AtomicU64,
    /// The highest wall reading, in microseconds.
    wall: AtomicU64,
}

/// A store's time at some moment, and what the wall clock showed then. The two are kept together: the first holds what
/// was counted while the store was open, and the second tells how much time passed while it was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockMark {
    /// The store's time.
    pub time: Timestamp,
    /// The highest reading of the wall clock that the store has seen.
    pub wall: Timestamp,
}

impl StoreClock {
    /// The time of a store that has kept nothing before: it starts at `clock`'s wall reading.
    #[must_use]
    pub fn start(clock: SharedClock) -> Self {
        let wall = clock.wall();
        Self::at(clock, ClockMark { time: wall, wall }, Duration::MAX)
    }

    /// The time of a store that was open before: that of `mark`, plus what the wall clock has counted since. A wall
    /// clock that was set back counts nothing, so records are kept for longer, never shorter.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when the wall clock is more than `max_jump` past the mark.
    /// Everything would expire at once, and a wrong clock is more likely than a store that was closed for so long.
    pub fn resume(clock: SharedClock, mark: ClockMark, max_jump: Duration) -> Result<Self> {
        let wall = clock.wall();
        let closed_for = wall.since(mark.wall);
        let behind = mark.wall.since(wall);
        if closed_for > max_jump {
            return Err(jumped(closed_for, max_jump));
        }
        let seen = believable(mark.wall, wall, max_jump);
        if behind.is_zero() {
            tracing::debug!(?closed_for, "the store's time goes on");
        } else if seen.is_none() {
            tracing::warn!(
                ?behind,
                ?max_jump,
                "the highest reading of the wall clock that the store has seen was made by a wrong clock and is dropped: \
                 time goes on from the present reading"
            );
        } else {
            tracing::warn!(
                ?behind,
                "the wall clock is behind what the store has seen of it: until it has caught up, what passes while the \
                 store is closed is not counted, and records are kept for longer"
            );
        }
        let seen = seen.unwrap_or(wall).max(wall);
        Ok(Self::at(clock, ClockMark { time: mark.time + closed_for, wall: seen }, max_jump))
    }

    fn at(clock: SharedClock, mark: ClockMark, max_jump: Duration) -> Self {
        let started = ticks(clock.monotonic());
        let shared = Raised { ahead: AtomicU64::new(0), wall: AtomicU64::new(mark.wall.as_micros()) };
        Self { clock, start: mark.time, started, max_jump, shared: Arc::new(shared) }
    }

    /// The store's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.reading(self.clock.monotonic())
    }

    /// The store's time when `sent` was taken from this store's clock. It saves a second reading.
    #[must_use]
    pub fn when(&self, sent: &Sent) -> Timestamp {
        self.reading(sent.reading())
    }

    /// What a durable store keeps beside what it commits at `now`, a reading of this clock.
    ///
    /// The wall clock is read here, after `now`: the time between the two readings is not counted when the store
    /// resumes from this mark, so records are kept for longer. In the other order it would be counted twice, and leases
    /// would end early.
    #[must_use]
    pub fn mark(&self, now: Timestamp) -> ClockMark {
        let wall = self.clock.wall().as_micros();
        let before = self.shared.wall.fetch_max(wall, Ordering::AcqRel);
        ClockMark { time: now, wall: Timestamp::from_micros(before.max(wall)) }
    }

    /// Raises this store's time to at least that of `mark`, which another store on the same storage has kept. The wall
    /// clock's reading in `mark` is taken too, unless [`resume`](StoreClock::resume) would drop it.
    pub fn raise(&self, mark: ClockMark) {
        if let Some(wall) = believable(mark.wall, self.clock.wall(), self.max_jump) {
            self.shared.wall.fetch_max(wall.as_micros(), Ordering::AcqRel);
        }
        // The whole lead, not what is missing from it: two that raise at once must not both add to it.
        let ahead = mark.time.as_micros().saturating_sub(self.alone(self.clock.monotonic()));
        self.shared.ahead.fetch_max(ahead, Ordering::AcqRel);
    }

    /// The clock underneath, for the leases that the store grants.
    #[must_use]
    pub fn source(&self) -> &SharedClock {
        &self.clock
    }

    fn reading(&self, reading: Duration) -> Timestamp {
        let ahead = self.shared.ahead.load(Ordering::Acquire);
        Timestamp::from_micros(self.alone(reading).saturating_add(ahead))
    }

    /// The time in microseconds, without what another store has advanced it by.
    fn alone(&self, reading: Duration) -> u64 {
        let passed = ticks(reading).saturating_sub(self.started);
        self.start.as_micros().saturating_add(passed)
    }
}

/// A reading of the wall clock that was `seen` before. `None` when it is absurdly far ahead of `now`: a wrong clock
/// made it, and it must not stop the count for years.
fn believable(seen: Timestamp, now: Timestamp, max_jump: Duration) -> Option<Timestamp> {
    (seen.since(now) <= max_jump).then_some(seen)
}

fn jumped(closed_for: Duration, max_jump: Duration) -> Error {
    let message = format!(
        "the wall clock is {} past the store's last commit, which is more than max_clock_jump ({}): what is on record \
         would expire at once. Set the clock, or raise max_clock_jump if the store was closed for so long",
        humantime::format_duration(whole_seconds(closed_for)),
        humantime::format_duration(whole_seconds(max_jump)),
    );
    Error::new(ErrorKind::InvalidConfig, Operation::Open, message)
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

#[cfg(test)]
mod tests;
