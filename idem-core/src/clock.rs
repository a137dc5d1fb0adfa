//! Clocks: the system's, and one that a test moves.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Microseconds since 1970-01-01 UTC by a store's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A timestamp from microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this, zero when `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at 1970.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A duration in whole microseconds, rounded up so that no lease ends before its time.
pub(crate) fn micros(duration: Duration) -> u64 {
    // In 64 bits: every call does this several times, and 128-bit divisions are slow.
    let whole = duration.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(duration.subsec_nanos().div_ceil(1_000)))
}

/// A clock's reading in whole microseconds, rounded down. The store and the holders round alike, so within one process
/// no holder takes its lease for live longer than the store does.
pub(crate) fn ticks(reading: Duration) -> u64 {
    reading.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(reading.subsec_micros()))
}

/// Where a store and a lease get the time from.
///
/// There are two readings because the wall clock can be stepped, and the monotonic clock cannot.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock. May jump in either direction.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment in the past. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// A clock that many parts share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clocks.
///
/// On Linux the monotonic clock stops while the machine sleeps or is moved to another host. A store in the same process
/// stops with it, so its leases last longer. A store elsewhere does not stop: the holder then takes its lease for live
/// longer than the store does, and only the fencing [`Token`](crate::Token) shows the difference.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system clock, ready to be shared.
    #[must_use]
    pub fn shared() -> SharedClock {
        static SHARED: LazyLock<SharedClock> = LazyLock::new(|| Arc::new(SystemClock));
        Arc::clone(&SHARED)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that may ask the operating system")]
impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(micros(since_epoch))
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// A clock that a test moves explicitly. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use idem_core::clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_micros(1_000_000));
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.wall(), Timestamp::from_micros(2_000_000));
/// clock.set_wall(Timestamp::from_micros(5)); // an operator sets the date back
/// assert_eq!(clock.monotonic(), Duration::from_secs(1));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `wall`.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        Self(Arc::new(Hands { wall: AtomicU64::new(wall.0), monotonic: AtomicU64::new(0) }))
    }

    /// Moves both readings forward. They saturate at the highest number.
    pub fn advance(&self, duration: Duration) {
        for hand in [&self.0.wall, &self.0.monotonic] {
            hand.update(Ordering::SeqCst, Ordering::SeqCst, |at| at.saturating_add(micros(duration)));
        }
    }

    /// Steps the wall clock alone, in either direction.
    pub fn set_wall(&self, wall: Timestamp) {
        self.0.wall.store(wall.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.monotonic.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_up_to_a_microsecond() {
        assert_eq!(Timestamp::default() + Duration::from_nanos(1), Timestamp::from_micros(1));
    }
}
