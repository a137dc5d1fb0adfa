//! Store time; and no holder believes in its lease for longer than the store does.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_core::backend::{ClockMark, Sent, StoreClock};
use idem_core::clock::{Clock, ManualClock, SystemClock, Timestamp};
use proptest::prelude::*;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{NanoClock, lease};

proptest! {
    #[test]
    fn store_time_never_runs_backwards(moments in prop::collection::vec(0..10_000_u64, 2..50)) {
        let mut moments = moments;
        moments.sort_unstable();
        let nanos = NanoClock::default();
        nanos.set(moments[0]);
        let time = StoreClock::start(nanos.shared());
        let mut last = time.now();
        for moment in moments {
            nanos.set(moment);
            prop_assert!(time.now() >= last);
            last = time.now();
        }
    }

    /// The three moments are at any place within a microsecond.
    #[test]
    fn holder_never_believes_in_its_lease_for_longer_than_the_store(
        started in 0..3_000_u64,
        sent_after in 0..3_000_u64,
        decided_after in 0..3_000_u64,
        lease_nanos in 1..5_000_u64,
    ) {
        let nanos = NanoClock::default();
        nanos.set(started);
        let time = StoreClock::start(nanos.shared());
        nanos.set(started + sent_after);
        let sent = Sent::now(&nanos.shared());
        nanos.set(started + sent_after + decided_after);
        let duration = Duration::from_nanos(lease_nanos);
        let deadline = time.now() + duration;
        let held = lease(&sent, duration);
        for moment in started..started + 15_000 {
            nanos.set(moment);
            if time.now() >= deadline {
                prop_assert_eq!(held.remaining(), Duration::ZERO);
                break;
            }
        }
    }
}

#[test]
fn step_of_the_wall_clock_moves_neither_store_time_nor_leases() {
    let manual = ManualClock::new(Timestamp::from_micros(10_000_000));
    let shared: Arc<dyn Clock> = Arc::new(manual.clone());
    let time = StoreClock::start(Arc::clone(&shared));
    let held = lease(&Sent::now(&shared), Duration::from_secs(5));
    for wall in [0, u64::MAX] {
        manual.set_wall(Timestamp::from_micros(wall));
        assert_eq!(manual.wall(), Timestamp::from_micros(wall));
        assert_eq!(time.now(), Timestamp::from_micros(10_000_000));
        assert_eq!(held.remaining(), Duration::from_secs(5));
    }
}

/// One reading of the clock serves the decision and the lease that it grants.
#[test]
fn store_time_of_a_sent_call_is_that_of_its_reading() {
    let manual = ManualClock::new(Timestamp::from_micros(10_000_000));
    let shared: Arc<dyn Clock> = Arc::new(manual.clone());
    let time = StoreClock::start(Arc::clone(&shared));
    manual.advance(Duration::from_secs(1));
    let sent = Sent::now(&shared);
    manual.advance(Duration::from_secs(2));
    assert_eq!(time.when(&sent), Timestamp::from_micros(11_000_000));
    assert_eq!(sent.elapsed(), Duration::from_secs(2));
    assert_eq!(time.now(), Timestamp::from_micros(13_000_000));
}

#[test]
fn clones_of_a_manual_clock_share_their_time() {
    let clock = ManualClock::new(Timestamp::from_micros(5));
    let other = clock.clone();
    clock.advance(Duration::from_secs(1));
    assert_eq!(other.monotonic(), Duration::from_secs(1));
    assert_eq!(other.wall(), Timestamp::from_micros(1_000_005));
}

#[test]
fn manual_clock_stops_at_the_end_of_time() {
    let clock = ManualClock::new(Timestamp::from_micros(5));
    clock.advance(Duration::MAX);
    clock.advance(Duration::from_secs(1));
    assert_eq!(clock.wall(), Timestamp::from_micros(u64::MAX));
    assert_eq!(clock.monotonic(), Duration::from_micros(u64::MAX));
}

#[test]
fn store_time_stops_at_the_end_of_time() {
    let clock = ManualClock::new(Timestamp::from_micros(u64::MAX - 1));
    let time = StoreClock::start(Arc::new(clock.clone()));
    clock.advance(Duration::from_secs(1));
    assert_eq!(time.now(), Timestamp::from_micros(u64::MAX));
}

#[test]
fn system_clock_goes_on_and_is_later_than_2020() {
    let clock = SystemClock::shared();
    let first = clock.monotonic();
    assert!((0..1_000_000).any(|_| clock.monotonic() > first));
    assert!(clock.wall() > Timestamp::from_micros(1_577_836_800_000_000));
}

#[test]
fn timestamps_saturate_at_both_ends() {
    let (first, last) = (Timestamp::from_micros(0), Timestamp::from_micros(u64::MAX));
    assert_eq!(last + Duration::MAX, last);
    assert_eq!(first - Duration::MAX, first);
    assert_eq!(first.since(last), Duration::ZERO);
    assert_eq!(last.since(first), Duration::from_micros(u64::MAX));
}

#[test]
fn timestamp_shows_seconds_and_microseconds() {
    assert_eq!(format!("{:?}", Timestamp::from_micros(1_000_002)), "1.000002s");
}

/// Keeps the messages of warnings.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            event.record(&mut Message(&mut self.0.lock().unwrap()));
        }
    }
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            writeln!(self.0, "{value:?}").unwrap();
        }
    }
}

/// The warning of a store that is opened at noon and has seen a wall clock that was `ahead` of noon.
fn warned_of(ahead: Duration) -> String {
    const HALF_A_YEAR: Duration = Duration::from_hours(24 * 180);
    let noon = Timestamp::from_micros(1_800_000_000_000_000);
    let warnings = Warnings::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(warnings.clone()), || {
        let mark = ClockMark { time: noon, wall: noon + ahead };
        StoreClock::resume(Arc::new(ManualClock::new(noon)), mark, HALF_A_YEAR).unwrap();
    });
    warnings.0.lock().unwrap().clone()
}

#[test]
fn warning_about_a_clock_that_is_behind_says_what_the_store_does() {
    assert_eq!(warned_of(Duration::ZERO), "");
    let (hour, years) = (Duration::from_hours(1), Duration::from_hours(24 * 7_305));
    let (waits, drops) = (warned_of(hour), warned_of(years));
    assert!(waits.contains("not counted") && !waits.contains("dropped"), "{waits}");
    assert!(drops.contains("dropped") && !drops.contains("not counted"), "{drops}");
}
