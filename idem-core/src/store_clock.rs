//! A store's own time. `docs/time.md` says which clock governs what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::ticks;
use crate::{Error, ErrorKind, Operation, Result, Sent, SharedClock, Timestamp};

/// A store's own time: never goes back, and a step of the wall clock neither freezes nor ends leases.
///
/// While the store is open its time follows the monotonic clock alone. A durable store keeps a [`ClockMark`] with what
/// it commits, and [`resume`](StoreClock::resume)s from it: its time then goes on by what the wall clock has counted
/// meanwhile. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct StoreClock {
    clock: SharedClock,
    start: Timestamp,
    /// Ticks of the monotonic clock at the start.
    started: u64,
    shared: Arc<Raised>,
}

/// What was learnt since the start.
#[derive(Debug)]
struct Raised {
    /// Microseconds by which another store has brought the time on.
    ahead: AtomicU64,
    /// The highest wall reading, in microseconds.
    wall: AtomicU64,
}

/// How far a store's time had come, and what the wall clock showed then. To be kept together: what was counted while the
/// store was open is in the one, and what passes while it is closed is told by the other.
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
        Self::at(clock, ClockMark { time: wall, wall })
    }

    /// The time of a store that was open before: it goes on from `mark`, by what the wall clock has counted since. A
    /// wall clock that was set back counts nothing, so what was kept lasts longer, never shorter.
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when the wall clock is more than `max_jump` past the mark: then
    /// everything would expire at once, more likely because a clock is wrong than because the store was closed for so
    /// long.
    pub fn resume(clock: SharedClock, mark: ClockMark, max_jump: Duration) -> Result<Self> {
        let wall = clock.wall();
        let closed_for = wall.since(mark.wall);
        let behind = mark.wall.since(wall);
        if closed_for > max_jump {
            return Err(jumped(closed_for, max_jump));
        }
        if behind.is_zero() {
            tracing::debug!(?closed_for, "the store's time goes on");
        } else {
            tracing::warn!(
                ?behind,
                "the wall clock is behind what the store has seen of it: until it has caught up, what passes while the \
                 store is closed is not counted, and records are kept for longer"
            );
        }
        // A mark that is absurdly far ahead was made by a wrong clock: it must not stop the count for years.
        let seen = if behind > max_jump { wall } else { wall.max(mark.wall) };
        Ok(Self::at(clock, ClockMark { time: mark.time + closed_for, wall: seen }))
    }

    fn at(clock: SharedClock, mark: ClockMark) -> Self {
        let started = ticks(clock.monotonic());
        let shared = Raised { ahead: AtomicU64::new(0), wall: AtomicU64::new(mark.wall.as_micros()) };
        Self { clock, start: mark.time, started, shared: Arc::new(shared) }
    }

    /// The store's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.reading(self.clock.monotonic())
    }

    /// The store's time when `sent` was taken from this store's clock: one reading for two uses.
    #[must_use]
    pub fn when(&self, sent: &Sent) -> Timestamp {
        self.reading(sent.reading())
    }

    /// What a durable store keeps beside what it commits at `now`, a reading of this clock.
    #[must_use]
    pub fn mark(&self, now: Timestamp) -> ClockMark {
        let wall = self.clock.wall().as_micros();
        let before = self.shared.wall.fetch_max(wall, Ordering::AcqRel);
        ClockMark { time: now, wall: Timestamp::from_micros(before.max(wall)) }
    }

    /// Takes in how far another store has brought what both of them keep: the time is at least that of `mark`.
    pub fn raise(&self, mark: ClockMark) {
        self.shared.wall.fetch_max(mark.wall.as_micros(), Ordering::AcqRel);
        let behind = mark.time.as_micros().saturating_sub(self.now().as_micros());
        if behind > 0 {
            self.shared.ahead.fetch_add(behind, Ordering::AcqRel);
        }
    }

    /// The clock underneath, for the leases that the store grants.
    #[must_use]
    pub fn source(&self) -> &SharedClock {
        &self.clock
    }

    fn reading(&self, reading: Duration) -> Timestamp {
        let passed = ticks(reading).saturating_sub(self.started);
        let ahead = self.shared.ahead.load(Ordering::Acquire);
        Timestamp::from_micros(self.start.as_micros().saturating_add(passed).saturating_add(ahead))
    }
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
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::ManualClock;

    const HOUR: Duration = Duration::from_hours(1);
    const MAX_JUMP: Duration = Duration::from_hours(24 * 180);
    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn clock_at(wall: Timestamp) -> (ManualClock, SharedClock) {
        let manual = ManualClock::new(wall);
        (manual.clone(), Arc::new(manual))
    }

    fn resumed(wall: Timestamp, mark: ClockMark) -> Result<StoreClock> {
        StoreClock::resume(clock_at(wall).1, mark, MAX_JUMP)
    }

    #[test]
    fn store_time_follows_no_step_of_the_wall_clock() {
        let (manual, clock) = clock_at(NOON);
        let time = StoreClock::start(clock);
        manual.set_wall(Timestamp::default());
        manual.advance(HOUR);
        assert_eq!(time.now(), NOON + HOUR);
        manual.set_wall(NOON + HOUR * 900);
        assert_eq!(time.now(), NOON + HOUR);
    }

    #[test]
    fn time_goes_on_by_what_the_wall_clock_counted_while_the_store_was_closed() {
        let mark = StoreClock::start(clock_at(NOON).1).mark(NOON);
        assert_eq!(resumed(NOON + HOUR * 3, mark).unwrap().now(), NOON + HOUR * 3);
    }

    /// A laptop: the wall clock goes on while it sleeps, the monotonic one does not.
    #[test]
    fn sleep_while_the_store_was_open_is_not_counted_when_it_is_opened_again() {
        let (manual, clock) = clock_at(NOON);
        let time = StoreClock::start(clock);
        manual.set_wall(NOON + HOUR * 12);
        let mark = time.mark(time.now());
        assert_eq!(resumed(NOON + HOUR * 13, mark).unwrap().now(), NOON + HOUR);
    }

    #[test]
    fn wall_clock_that_was_set_back_counts_nothing_and_time_never_goes_back() {
        let mark = ClockMark { time: NOON + HOUR, wall: NOON + HOUR };
        for wall in [NOON, Timestamp::default()] {
            assert_eq!(resumed(wall, mark).unwrap().now(), NOON + HOUR);
        }
    }

    /// A board without a battery begins in 1970 at each start, until it has asked for the time.
    #[test]
    fn clock_that_begins_in_1970_and_is_set_right_later_counts_no_decades() {
        let mark = ClockMark { time: NOON, wall: NOON };
        let (_, in_1970) = clock_at(Timestamp::default() + HOUR * 24 * 365 / 4);
        let wrong = StoreClock::resume(in_1970, mark, HOUR * 24 * 365 * 100).unwrap();
        let mark = wrong.mark(wrong.now());
        assert_eq!(mark, ClockMark { time: NOON, wall: NOON });
        assert_eq!(resumed(NOON + HOUR, mark).unwrap().now(), NOON + HOUR);
    }

    #[test]
    fn jump_beyond_the_bound_is_refused_and_names_both() {
        let mark = ClockMark { time: NOON, wall: NOON };
        assert!(resumed(NOON + MAX_JUMP, mark).is_ok());
        let error = resumed(NOON + HOUR * 24 * 7_305, mark).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().contains("20years") && error.message().contains("max_clock_jump"), "{error}");
    }

    /// The clock was wrong once, and is right again: the years in between are counted as they pass.
    #[test]
    fn mark_of_a_clock_that_was_years_ahead_stops_no_count() {
        let mark = ClockMark { time: NOON, wall: NOON + HOUR * 24 * 7_305 };
        let time = resumed(NOON, mark).unwrap();
        let mark = time.mark(time.now());
        assert_eq!(mark, ClockMark { time: NOON, wall: NOON });
        assert_eq!(resumed(NOON + HOUR, mark).unwrap().now(), NOON + HOUR);
    }

    #[test]
    fn time_is_raised_to_that_of_another_store_and_goes_on_from_there() {
        let (manual, clock) = clock_at(NOON);
        let time = StoreClock::start(clock);
        let same = time.clone();
        time.raise(ClockMark { time: NOON + HOUR, wall: NOON });
        time.raise(ClockMark { time: NOON, wall: NOON + HOUR * 2 });
        manual.advance(HOUR);
        assert_eq!((time.now(), same.now()), (NOON + HOUR * 2, NOON + HOUR * 2));
        assert_eq!(time.mark(time.now()).wall, NOON + HOUR * 2);
    }
}
