//! What is let through while the disk is full.
//!
//! Each failure for lack of room makes redb refuse everything until it is opened anew. So once there was no room,
//! calls that need some are refused without being tried, and one at a time is let through now and then, to see
//! whether there is room again: a circuit breaker.

use std::time::Duration;

use idem_core::backend::Call;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use crate::error::{Away, Failure};
use crate::writer::commit::batch::Batch;
use crate::writer::queue::message::QueuedCall;

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many probes in a row have to find room. One may find a page that a record has just left.
const PROBES_TO_CLOSE: usize = 8;
/// A disk that is full again so soon was full all the time, apart from a little: the pauses go on where they were.
const SAME_SHORTAGE: Duration = Duration::from_secs(10);
/// The largest outcome that free pages of the file are likely to hold.
const SMALL_OUTCOME: usize = 16 << 10;

pub(crate) const FULL: Away = Away::new(
    ErrorKind::Full,
    "the disk is full; nothing already kept is lost, and the store tries by itself whether there is room again",
);

/// How much is let through.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    shortage: Option<Shortage>,
    /// The pause of the last shortage, and when it ended.
    before: Option<(Duration, Duration)>,
}

#[derive(Debug)]
struct Shortage {
    pause: Duration,
    next_try: Duration,
    /// Whether calls that need no more space than they already have failed too.
    steady_failed: bool,
    /// Whether small completions failed.
    small_failed: bool,
    /// How many calls were let through to see whether there is room.
    probes: usize,
    /// How many of the last ones found some.
    passed: usize,
}

/// What a batch was admitted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// There is room, as far as anybody knows.
    Usual,
    /// It gives room back, or needs what it has.
    Steady,
    /// It needs little.
    Small,
    /// To see whether there is room.
    Probe,
}

impl CircuitBreaker {
    /// Refuses what has no chance, and returns what is to be tried, in this order.
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
            // In turn, so that neither a large outcome nor new locks keep the others from being tried.
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

    /// Whether a closure of the application's may be run, of which nobody knows how much room it needs.
    pub(crate) fn admit_transaction(&mut self, now: Duration) -> Option<Admitted> {
        match &self.shortage {
            None => Some(Admitted::Usual),
            Some(shortage) => (now >= shortage.next_try).then_some(Admitted::Probe),
        }
    }

    /// Takes in what became of it, and whether it wrote: what wrote nothing does not show that there is room.
    pub(crate) fn ended(&mut self, admitted: Admitted, done: Result<bool, &Failure>, now: Duration) {
        match (done, &mut self.shortage) {
            (Err(failure), None) if failure.is_full() => {
                let again = self.before.filter(|(_, ended)| now.saturating_sub(*ended) < SAME_SHORTAGE);
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
                // Of what is tried in smaller and smaller parts only the first failure counts.
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
                self.before = Some((shortage.pause, now));
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

/// What is tried again at once of a batch that found no room, in this order: it may have met that only by the company
/// that it was in. What is left in the batch is refused.
pub(crate) fn retry_parts(batch: &mut Batch, admitted: Admitted) -> Vec<(Batch, Admitted)> {
    if batch.len() < 2 {
        return Vec::new();
    }
    match admitted {
        Admitted::Usual => {
            let Parts { steady, small, large } = Parts::of(std::mem::take(batch));
            batch.calls = large;
            let parts = [(steady, Admitted::Steady), (small, Admitted::Small)];
            parts.into_iter().filter(|(part, _)| part.len() > 0).collect()
        }
        // Half of them, and half of these if need be.
        Admitted::Steady | Admitted::Small => {
            let half = batch.calls.len() / 2;
            let calls = batch.calls.drain(..half).collect();
            let half = Batch { calls, sweep: std::mem::take(&mut batch.sweep) };
            if half.len() > 0 { vec![(half, admitted)] } else { Vec::new() }
        }
        Admitted::Probe => Vec::new(),
    }
}

/// A batch by what its calls need.
struct Parts {
    /// Gives room back, or needs what it has; the sweep is of this part.
    steady: Batch,
    /// Needs so little that free pages of the file are likely to do.
    small: Batch,
    large: Vec<QueuedCall>,
}

impl Parts {
    fn of(batch: Batch) -> Self {
        let mut parts = Self {
            steady: Batch { calls: Vec::new(), sweep: batch.sweep },
            small: Batch::default(),
            large: Vec::new(),
        };
        for queued in batch.calls {
            let part = match &queued.call {
                Call::Lock { .. } | Call::Checkpoint { .. } => &mut parts.large,
                Call::Complete { outcome, .. } if outcome.size() > SMALL_OUTCOME => &mut parts.large,
                Call::Complete { .. } => &mut parts.small.calls,
                _ => &mut parts.steady.calls,
            };
            part.push(queued);
        }
        parts
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

fn full(operation: Operation) -> Error {
    FULL.error(operation)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use bytes::Bytes;
    use idem_core::record::Checkpoint;
    use idem_core::{Key, Outcome, Owner, Scope, Token};

    use super::*;

    fn no_room() -> Failure {
        Failure::Redb(redb::Error::Io(std::io::ErrorKind::StorageFull.into()))
    }

    /// One that finds a page which a record has just left says nothing of the next.
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

    /// Once there is room, nobody waits for the proof of it.
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

    fn queued(call: Call) -> QueuedCall {
        let key = Key::new(&Scope::shared(), "k").unwrap();
        QueuedCall { key, call, reply: tokio::sync::oneshot::channel().0 }
    }

    fn batch(renewals: usize, completions: usize, checkpoints: usize) -> Batch {
        let token = Token { sequence: 1, owner: Owner::from_bytes([1; 16]) };
        let (duration, retention) = (Duration::from_secs(1), Duration::from_secs(1));
        let outcome = Outcome::Value(Bytes::new());
        let checkpoint = Checkpoint { step: 1, progress: Bytes::new() };
        let calls = [
            vec![Call::Renew { token, duration }; renewals],
            vec![Call::Complete { token, outcome, retention }; completions],
            vec![Call::Checkpoint { token, checkpoint, duration }; checkpoints],
        ];
        Batch { calls: calls.into_iter().flatten().map(queued).collect(), sweep: Vec::new() }
    }

    /// What is tried again, and how much of the batch is refused.
    fn again(mut batch: Batch, admitted: Admitted) -> (Vec<(usize, Admitted)>, usize) {
        let parts = retry_parts(&mut batch, admitted);
        (parts.into_iter().map(|(part, admitted)| (part.len(), admitted)).collect(), batch.len())
    }

    #[test]
    fn what_needs_less_is_tried_without_the_company_of_what_needs_more() {
        let parts = vec![(3, Admitted::Steady), (2, Admitted::Small)];
        assert_eq!(again(batch(3, 2, 1), Admitted::Usual), (parts, 1));
        assert_eq!(again(batch(3, 0, 0), Admitted::Steady), (vec![(1, Admitted::Steady)], 2));
        assert_eq!(again(batch(0, 2, 0), Admitted::Small), (vec![(1, Admitted::Small)], 1));
        for admitted in [Admitted::Usual, Admitted::Small] {
            assert_eq!(again(batch(0, 1, 0), admitted), (vec![], 1));
        }
    }
}
