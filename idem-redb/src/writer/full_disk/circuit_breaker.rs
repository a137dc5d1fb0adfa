//! The circuit breaker: what is let through while the disk is full.
//!
//! Each write that runs out of space makes redb refuse everything until it is reopened. So after the first one, calls
//! that need space are refused without being tried, and one at a time is let through now and then, as a probe.

use std::time::Duration;

use idem_core::backend::Call;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use super::parts::{Admitted, Parts};
use crate::error::{Away, Failure};
use crate::writer::commit::batch::Batch;
use crate::writer::queue::message::QueuedCall;

/// Pauses between probes.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many probes in a row have to succeed. A single one may find a page that a record has just left.
const PROBES_TO_CLOSE: usize = 8;
/// A disk that is full again so soon never had much room in between, so the pauses continue where they were.
const SAME_SHORTAGE: Duration = Duration::from_secs(10);

pub(crate) const FULL: Away = Away::new(
    ErrorKind::Full,
    "the disk is full; nothing already kept is lost, and the store tries by itself whether there is room again",
);

/// Decides what is let through.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    shortage: Option<Shortage>,
    /// The pause at the end of the last shortage, and when that was.
    last_shortage: Option<(Duration, Duration)>,
}

#[derive(Debug)]
struct Shortage {
    pause: Duration,
    next_try: Duration,
    /// Whether calls that need no more space than they have already failed too.
    steady_failed: bool,
    /// Whether small completions failed.
    small_failed: bool,
    /// How many probes were let through.
    probes: usize,
    /// How many of the last probes in a row succeeded.
    passed: usize,
}

impl CircuitBreaker {
    /// Refuses what has no chance; returns what is to be tried, in this order.
    pub(crate) fn admit(&mut self, batch: Batch, now: Duration) -> Vec<(Batch, Admitted)> {
        let Some(shortage) = &mut self.shortage else { return vec![(batch, Admitted::Usual)] };
        let is_due = now >= shortage.next_try;
        let Parts { mut steady, mut small, mut large } = Parts::of(batch);
        let mut admitted = Vec::new();
        if steady.len() > 0 && (is_due || !shortage.steady_failed) {
            admitted.push((std::mem::take(&mut steady), Admitted::Steady));
        }
        if small.len() > 0 && (is_due || !shortage.small_failed) {
            admitted.push((std::mem::take(&mut small), Admitted::Small));
        }
        let fails = shortage.steady_failed || shortage.small_failed;
        if is_due && (admitted.is_empty() || !fails) && !large.is_empty() {
            // Locks and other calls alternate, so that neither large outcomes nor new locks keep the others from being
            // tried.
            let locks_first = shortage.probes % 2 == 1;
            let is_first = |queued: &QueuedCall| matches!(queued.call, Call::Lock { .. }) == locks_first;
            let probe = large.swap_remove(large.iter().position(is_first).unwrap_or(0));
            shortage.probes += 1;
            admitted.push((Batch { calls: vec![probe], sweep: Vec::new() }, Admitted::Probe));
        }
        Batch { calls: large, sweep: Vec::new() }.refuse(full);
        steady.refuse(full);
        small.refuse(full);
        admitted
    }

    pub(crate) fn is_short(&self) -> bool {
        self.shortage.is_some()
    }

    /// Whether a closure of the application may run. How much space it needs is unknown.
    pub(crate) fn admit_transaction(&mut self, now: Duration) -> Option<Admitted> {
        match &self.shortage {
            None => Some(Admitted::Usual),
            Some(shortage) => (now >= shortage.next_try).then_some(Admitted::Probe),
        }
    }

    /// Takes in the result, and whether anything was written: a commit without a write does not show that there is
    /// room.
    pub(crate) fn ended(&mut self, admitted: Admitted, done: Result<bool, &Failure>, now: Duration) {
        match (done, &mut self.shortage) {
            (Err(failure), None) if failure.is_full() => {
                let again =
                    self.last_shortage.filter(|(_, ended)| now.saturating_sub(*ended) < SAME_SHORTAGE);
                let pause = again.map_or(FIRST_PAUSE, |(pause, _)| longer(pause));
                self.shortage = Some(Shortage {
                    pause,
                    next_try: now + pause,
                    steady_failed: false,
                    small_failed: false,
                    probes: 0,
                    passed: 0,
                });
                if again.is_none() {
                    tracing::warn!("the disk is full: what needs room is refused");
                } else {
                    tracing::debug!("the disk is full again");
                }
            }
            (Err(failure), Some(shortage)) if failure.is_full() => {
                shortage.steady_failed |= admitted == Admitted::Steady;
                shortage.small_failed |= admitted == Admitted::Small;
                shortage.passed = 0;
                // Of a batch that is retried in smaller and smaller parts, only the first failure counts.
                if now >= shortage.next_try {
                    shortage.pause = longer(shortage.pause);
                    shortage.next_try = now + shortage.pause;
                }
            }
            (Ok(true), Some(shortage)) if admitted == Admitted::Probe => {
                shortage.passed += 1;
                shortage.next_try = now;
                if shortage.passed < PROBES_TO_CLOSE {
                    return;
                }
                self.last_shortage = Some((shortage.pause, now));
                self.shortage = None;
                tracing::warn!("there is room on the disk again");
            }
            (Ok(true), Some(shortage)) => {
                shortage.steady_failed &= admitted != Admitted::Steady;
                shortage.small_failed &= admitted != Admitted::Small;
            }
            _ => {}
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

fn full(operation: Operation) -> Error {
    FULL.error(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_room() -> Failure {
        Failure::Redb(redb::Error::Io(std::io::ErrorKind::StorageFull.into()))
    }

    /// A probe that finds a page which a record has just left says nothing about the next.
    #[test]
    fn a_single_probe_that_finds_room_does_not_end_a_shortage() {
        let mut breaker = CircuitBreaker::default();
        let now = Duration::from_secs(1);
        breaker.ended(Admitted::Usual, Err(&no_room()), now);
        for _ in 1..PROBES_TO_CLOSE {
            breaker.ended(Admitted::Probe, Ok(true), now);
            assert!(breaker.is_short());
        }
        breaker.ended(Admitted::Probe, Err(&no_room()), now);
        for _ in 0..PROBES_TO_CLOSE {
            assert!(breaker.is_short());
            breaker.ended(Admitted::Probe, Ok(true), now);
        }
        assert!(!breaker.is_short());
    }

    /// Once there is room, no call waits for the remaining probes.
    #[test]
    fn the_next_probe_after_one_that_found_room_is_due_at_once() {
        let mut breaker = CircuitBreaker::default();
        let now = Duration::from_secs(1);
        breaker.ended(Admitted::Usual, Err(&no_room()), now);
        assert_eq!(breaker.admit_transaction(now), None);
        let due = now + FIRST_PAUSE;
        assert_eq!(breaker.admit_transaction(due), Some(Admitted::Probe));
        breaker.ended(Admitted::Probe, Ok(true), due);
        assert_eq!(breaker.admit_transaction(due), Some(Admitted::Probe));
    }
}
