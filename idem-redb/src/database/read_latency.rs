//! Whether reads are fast enough to be done where they are asked for.
//!
//! A page at hand is read in a few microseconds, and a trip through another thread costs a hundred times that.
//! A page that has to come from the disk would hold up the caller's thread. redb does not tell the two apart,
//! so the time that reads take does: after a few slow ones in a row, the next ones are made elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than any read of pages at hand, shorter than a disk.
const SLOW: Duration = Duration::from_micros(50);
/// What a slow read weighs against a fast one: the second read of a page that had to come from the disk is fast.
const WEIGHT: u32 = 2;
/// So much weight of slow reads is too much: three in a row, since one may be the scheduler's doing.
const LIMIT: u32 = 3 * WEIGHT;
/// How many reads are made elsewhere before the next one is tried inline.
const OFFLOADED: u32 = 64;

#[derive(Debug, Default)]
pub(crate) struct ReadLatency {
    /// The slow reads, less the fast ones since.
    weight: AtomicU32,
    offloaded: AtomicU32,
}

impl ReadLatency {
    /// Whether the next read is better made on a thread that may block.
    pub(crate) fn takes_offload(&self) -> bool {
        // Looked at before it is written, so that the fast path shares no cache line that changes.
        self.offloaded.load(Ordering::Relaxed) > 0
            && self
                .offloaded
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    /// The same, without taking the turn of one.
    pub(crate) fn is_offloading(&self) -> bool {
        self.offloaded.load(Ordering::Relaxed) > 0
    }

    /// The same of a read that another one of the same pages follows: only that it was slow says anything.
    pub(crate) fn record_if_slow(&self, took: Duration) {
        if took >= SLOW {
            self.record(took);
        }
    }

    /// Notes how long an inline read took.
    pub(crate) fn record(&self, took: Duration) {
        if took < SLOW {
            // Looked at before it is written, here too.
            if self.weight.load(Ordering::Relaxed) > 0 {
                let less = |weight: u32| weight.checked_sub(1);
                let _none_left = self.weight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
        } else if self.weight.fetch_add(WEIGHT, Ordering::Relaxed) + WEIGHT >= LIMIT {
            self.weight.store(0, Ordering::Relaxed);
            self.offloaded.store(OFFLOADED, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_read_changes_nothing() {
        let latency = ReadLatency::default();
        for took in [SLOW, Duration::ZERO, Duration::ZERO, SLOW, Duration::ZERO, Duration::ZERO].repeat(10) {
            latency.record(took);
        }
        assert!(!latency.takes_offload());
    }

    #[test]
    fn slow_reads_in_a_row_send_the_next_ones_elsewhere_for_a_while() {
        let latency = ReadLatency::default();
        (0..3).for_each(|_| latency.record(SLOW));
        let offloaded = std::iter::repeat_with(|| latency.takes_offload()).take_while(|slow| *slow).count();
        assert_eq!(offloaded, OFFLOADED as usize);
    }

    /// As when a `peek` fetches the pages from the disk, and the `lock` after it finds them at hand.
    #[test]
    fn each_slow_read_before_a_fast_one_is_one_all_the_same() {
        let latency = ReadLatency::default();
        for took in [SLOW, Duration::ZERO].repeat(5) {
            latency.record(took);
        }
        assert!(latency.takes_offload());
    }
}
