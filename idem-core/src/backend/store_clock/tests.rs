#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::clock::ManualClock;

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

/// As when the process is stopped between the two readings.
#[test]
fn what_passes_between_the_two_readings_of_a_mark_is_not_counted_twice() {
    let (manual, clock) = clock_at(NOON);
    let time = StoreClock::start(clock);
    let now = time.now();
    manual.advance(HOUR);
    assert_eq!(resumed(NOON + HOUR, time.mark(now)).unwrap().now(), NOON);
}

/// As on a laptop: the wall clock continues while it sleeps, the monotonic clock does not.
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

/// As on a board without a battery, whose clock begins in 1970 at each start until it has asked for the time.
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

#[test]
fn mark_that_two_raise_to_at_once_counts_once() {
    let time = StoreClock::start(clock_at(NOON).1);
    let arrived = AtomicU64::new(0);
    // A barrier wakes its threads one after another, too far apart to meet.
    let meet = |times: u64| {
        arrived.fetch_add(1, Ordering::AcqRel);
        while arrived.load(Ordering::Acquire) < times * 2 {
            std::thread::yield_now();
        }
    };
    let raise = || {
        for round in 1..=100_000 {
            meet(round * 2 - 1);
            time.raise(ClockMark { time: NOON + Duration::from_micros(round), wall: NOON });
            meet(round * 2);
            assert_eq!(time.now(), NOON + Duration::from_micros(round));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(raise);
        raise();
    });
}

/// A store reads its own mark again when it has reopened its file.
#[test]
fn wrong_reading_that_was_dropped_does_not_come_back_with_the_mark_it_stood_in() {
    let mark = ClockMark { time: NOON, wall: NOON + HOUR * 24 * 7_305 };
    let time = resumed(NOON, mark).unwrap();
    time.raise(mark);
    assert_eq!(time.mark(time.now()), ClockMark { time: NOON, wall: NOON });
}

#[test]
fn reading_within_the_bound_is_taken_in_with_the_mark() {
    let time = resumed(NOON, ClockMark { time: NOON, wall: NOON }).unwrap();
    time.raise(ClockMark { time: NOON, wall: NOON + MAX_JUMP });
    assert_eq!(time.mark(time.now()).wall, NOON + MAX_JUMP);
}
