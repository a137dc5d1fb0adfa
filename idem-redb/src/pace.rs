//! Whether reads are fast enough to be done where they are asked for.
//!
//! A page at hand is read in a few microseconds, and a trip through another thread costs a hundred times that.
//! A page that has to come from the disk would hold up the caller's thread. redb does not tell the two apart,
//! so the time that reads take does: after a few slow ones in a row, the next ones are made elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than any read of pages at hand, shorter than a disk.
const SLOW: Duration = Duration::from_micros(50);
/// One slow read may be the scheduler's doing.
const IN_A_ROW: u32 = 3;
/// How many reads are made elsewhere before the next one is tried inline.
const ELSEWHERE: u32 = 64;

#[derive(Debug, Default)]
pub(crate) struct ReadPace {
    slow_in_a_row: AtomicU32,
    elsewhere: AtomicU32,
}

impl ReadPace {
    /// Whether the next read is better made on a thread that may block.
    pub(crate) fn is_slow(&self) -> bool {
        // Looked at before it is written, so that the fast path shares no cache line that changes.
        self.elsewhere.load(Ordering::Relaxed) > 0
            && self
                .elsewhere
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    /// The same, without being a read: what is made elsewhere is counted by reads alone.
    pub(crate) fn reads_elsewhere(&self) -> bool {
        self.elsewhere.load(Ordering::Relaxed) > 0
    }

    /// Notes how long an inline read took.
    pub(crate) fn note(&self, took: Duration) {
        if took < SLOW {
            if self.slow_in_a_row.load(Ordering::Relaxed) > 0 {
                self.slow_in_a_row.store(0, Ordering::Relaxed);
            }
        } else if self.slow_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= IN_A_ROW {
            self.slow_in_a_row.store(0, Ordering::Relaxed);
            self.elsewhere.store(ELSEWHERE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_read_changes_nothing() {
        let pace = ReadPace::default();
        for took in [SLOW, SLOW, Duration::ZERO, SLOW, SLOW] {
            pace.note(took);
        }
        assert!(!pace.is_slow());
    }

    #[test]
    fn slow_reads_in_a_row_send_the_next_ones_elsewhere_for_a_while() {
        let pace = ReadPace::default();
        (0..IN_A_ROW).for_each(|_| pace.note(SLOW));
        let elsewhere = std::iter::repeat_with(|| pace.is_slow()).take_while(|slow| *slow).count();
        assert_eq!(elsewhere, ELSEWHERE as usize);
    }
}
