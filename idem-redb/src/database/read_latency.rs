//! Whether reads are fast enough to run on the caller's thread.
//!
//! A cached page is read in a few microseconds; a trip through another thread costs a hundred times that. A page that
//! has to come from the disk would block the caller's thread. redb does not tell the two apart, so the latency of reads
//! does: after a few slow reads in a row, the next ones run on a blocking thread.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than any read of cached pages, shorter than a read from a disk.
const SLOW: Duration = Duration::from_micros(50);
/// How many fast reads outweigh a slow one: the second read of a page that came from the disk is fast.
const WEIGHT: u32 = 2;
/// The weight at which reads are offloaded: three slow ones in a row, since the scheduler may cause a single one.
const LIMIT: u32 = 3 * WEIGHT;
/// How many reads are offloaded before the next one is tried inline.
const OFFLOADED: u32 = 64;

#[derive(Debug, Default)]
pub(crate) struct ReadLatency {
    /// The weight of the slow reads, less the fast reads since.
    weight: AtomicU32,
    /// How many more reads are to be offloaded.
    offloaded: AtomicU32,
}

impl ReadLatency {
    /// Whether the next read belongs on a blocking thread; counts it as one of those.
    pub(crate) fn takes_offload(&self) -> bool {
        // Loaded before it is written: the fast path must not dirty a shared cache line.
        self.offloaded.load(Ordering::Relaxed) > 0
            && self
                .offloaded
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    /// Whether the next read belongs on a blocking thread, without counting it.
    pub(crate) fn is_offloading(&self) -> bool {
        self.offloaded.load(Ordering::Relaxed) > 0
    }

    /// Records a read that another read of the same pages follows: only a slow one says anything.
    pub(crate) fn record_if_slow(&self, took: Duration) {
        if took >= SLOW {
            self.record(took);
        }
    }

    /// Records how long an inline read took.
    pub(crate) fn record(&self, took: Duration) {
        if took < SLOW {
            // Loaded before it is written, for the same reason.
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

    /// As when a `peek` fetches the pages from the disk, and the `lock` after it finds them cached.
    #[test]
    fn each_slow_read_before_a_fast_one_is_one_all_the_same() {
        let latency = ReadLatency::default();
        for took in [SLOW, Duration::ZERO].repeat(5) {
            latency.record(took);
        }
        assert!(latency.takes_offload());
    }
}
