//! How many calls go by one statement.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::MAX_CALLS;

/// Bytes of one answer at most: each of a statement's calls may be answered by the largest outcome.
const MAX_ANSWER: u64 = 128 << 20;

/// Fewer calls after a statement that was not answered in time, since its answer may have been too long for that; with each
/// that is answered twice as many again.
#[derive(Debug)]
pub(super) struct BatchSize {
    most: usize,
    now: AtomicUsize,
}

impl BatchSize {
    pub(super) fn new(most: usize) -> Self {
        Self { most, now: AtomicUsize::new(most) }
    }

    /// For calls that are answered by outcomes of up to `max_outcome` bytes.
    pub(super) fn of_outcomes(most: usize, max_outcome: u64) -> Self {
        let fits = usize::try_from(MAX_ANSWER / max_outcome.max(1)).unwrap_or(MAX_CALLS);
        Self::new(fits.clamp(1, most))
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.now.store(self.most.min(self.now() * 2), Ordering::Relaxed);
    }

    /// A statement of so many calls was not.
    pub(super) fn unanswered(&self, calls: usize) {
        self.now.store((calls / 2).clamp(1, self.most), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_halved_by_what_is_not_answered_and_doubled_by_what_is() {
        let size = BatchSize::new(120);
        assert_eq!(size.now(), 120);
        size.unanswered(100);
        assert_eq!(size.now(), 50);
        for _ in 0..10 {
            size.unanswered(size.now());
        }
        assert_eq!(size.now(), 1);
        size.answered();
        assert_eq!(size.now(), 2);
        for _ in 0..10 {
            size.answered();
        }
        assert_eq!(size.now(), 120);
    }

    #[test]
    fn answers_of_the_largest_outcomes_are_bounded() {
        assert_eq!(BatchSize::of_outcomes(120, 1 << 20).now(), 120);
        assert_eq!(BatchSize::of_outcomes(120, 16 << 20).now(), 8);
        assert_eq!(BatchSize::of_outcomes(120, 256 << 20).now(), 1);
        assert_eq!(BatchSize::of_outcomes(120, 1).now(), 120);
    }
}
