//! What the callers did and observed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use idem_core::{Error, ErrorKind};

use crate::answers::Judgement;

/// How many violations are kept in words; the others are only counted.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Records that came into the store: keys locked for the first time.
    pub(crate) entered: AtomicU64,
    pub(crate) executed: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) crashed: AtomicU64,
    pub(crate) flooded: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Calls without an answer in time, which say nothing about what happened.
    pub(crate) unsure: AtomicU64,
    violations: Mutex<Vec<String>>,
    violated: AtomicU64,
    locks: Mutex<Latencies>,
}

/// The time that `lock` took in the second under way.
#[derive(Debug)]
struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        // Up to an hour, in microseconds: within what the histogram can hold.
        Self(Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap_or_else(|error| unreachable!("{error}")))
    }
}

impl Ledger {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn violation(&self, what: String) {
        self.violated.fetch_add(1, Relaxed);
        let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        if violations.len() < MOST {
            violations.push(what);
        }
    }

    /// Whether the judgement holds. Counts one that does not.
    pub(crate) fn holds(&self, judgement: Judgement) -> bool {
        match judgement {
            Judgement::Holds => return true,
            Judgement::Passes => {}
            Judgement::Unsure => Self::count(&self.unsure),
            Judgement::Broken(what) => self.violation(what),
        }
        false
    }

    /// How many violations there were, and the first of them.
    pub(crate) fn violations(&self) -> (u64, Vec<String>) {
        let first = self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.violated.load(Relaxed), first)
    }

    /// Counts an error that a caller met. A lack of time is allowed, anything else is a violation.
    pub(crate) fn error(&self, error: &Error) {
        match error.kind() {
            ErrorKind::Timeout | ErrorKind::Unavailable => Self::count(&self.unsure),
            _ => self.violation(format!("a caller in its own scope met {error}")),
        }
    }

    pub(crate) fn locked_in(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).0.saturating_record(micros);
    }

    /// The 99th percentile of the time of `lock` since the last call.
    pub(crate) fn take_lock_p99(&self) -> Duration {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let p99 = Duration::from_micros(locks.0.value_at_quantile(0.99));
        locks.0.reset();
        p99
    }
}
