//! A mark that is written ahead, so that not each commit has to write it.
//!
//! The row in the file says how far the store may have come, not how far it has. What a crash costs is told by the
//! length of the reservation: the next opening goes on from its end. Closing and resting write where the store is.

use std::time::Duration;

use crate::mark::Mark;

/// How far a mark is written ahead, at most. A commit in so long writes it: few, at any rate of commits that a lone
/// caller reaches, and nothing ends much too early after a crash.
const LONGEST: Duration = Duration::from_millis(250);

/// How far ahead, where a wall clock that is `max_clock_jump` ahead is not believed.
pub(crate) fn length(max_clock_jump: Duration) -> Duration {
    LONGEST.min(max_clock_jump / 4)
}

impl Mark {
    /// A mark that covers what is to come for so long. Time and wall reading are ahead by the same: an opening that is
    /// later than that finds the true time.
    pub(crate) fn ahead_by(self, length: Duration) -> Self {
        let sequences = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self {
            time: self.time + length,
            wall: self.wall + length,
            // A sequence is a time in microseconds, or one more than the one before.
            sequence: self.sequence.max(self.time.as_micros()).saturating_add(sequences),
        }
    }

    /// Whether an opening that finds this mark gives out nothing that was given out until `exact`.
    pub(crate) fn covers(self, exact: Self) -> bool {
        exact.time <= self.time && exact.wall <= self.wall && exact.sequence <= self.sequence
    }
}

#[cfg(test)]
mod tests {
    use idem_core::Timestamp;

    use super::*;

    fn mark(time: u64, wall: u64, sequence: u64) -> Mark {
        Mark { time: Timestamp::from_micros(time), wall: Timestamp::from_micros(wall), sequence }
    }

    #[test]
    fn a_mark_that_is_ahead_covers_what_comes_until_then_and_no_more() {
        let exact = mark(5_000_000, 9_000_000, 5_000_007);
        let ahead = exact.ahead_by(Duration::from_millis(250));
        assert_eq!(ahead, mark(5_250_000, 9_250_000, 5_250_007));
        assert!(ahead.covers(exact) && ahead.covers(ahead));
        for beyond in [
            mark(5_250_001, 9_000_000, 5_000_007),
            mark(5_000_000, 9_250_001, 5_000_007),
            mark(5_000_000, 9_000_000, 5_250_008),
        ] {
            assert!(!ahead.covers(beyond), "{beyond:?}");
        }
    }

    #[test]
    fn sequences_are_reserved_from_where_the_time_will_give_them_out() {
        let ahead = mark(5_000_000, 5_000_000, 3).ahead_by(Duration::from_millis(250));
        assert!(ahead.sequence >= 5_250_000, "{ahead:?}");
    }

    #[test]
    fn no_reservation_is_longer_than_a_clock_may_jump() {
        for seconds in [1, 4, 1_000_000] {
            let jump = Duration::from_secs(seconds);
            assert!(length(jump) < jump / 3 && length(jump) >= Duration::from_millis(250));
        }
    }
}
