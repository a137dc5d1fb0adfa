//! Dividing a batch by how much space its calls need.

use idem_core::backend::Call;

use crate::writer::commit::batch::Batch;
use crate::writer::queue::message::QueuedCall;

/// The largest outcome that free pages of the file are likely to hold.
const SMALL_OUTCOME: usize = 16 << 10;

/// What a batch was admitted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// No shortage is known.
    Usual,
    /// It frees space, or needs no more than it has.
    Steady,
    /// It needs little space.
    Small,
    /// It tests whether there is space.
    Probe,
}

/// The parts of a batch that are retried at once after it ran out of space, in this order: they may have failed only
/// because of the calls beside them. What is left in the batch is refused.
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
        // The first half is retried, and half of that if need be.
        Admitted::Steady | Admitted::Small => {
            let half = batch.calls.len() / 2;
            let calls = batch.calls.drain(..half).collect();
            let half = Batch { calls, sweep: std::mem::take(&mut batch.sweep) };
            if half.len() > 0 { vec![(half, admitted)] } else { Vec::new() }
        }
        Admitted::Probe => Vec::new(),
    }
}

/// The parts of a batch, by what their calls need.
pub(super) struct Parts {
    /// Frees space, or needs no more than it has. The sweep belongs to this part.
    pub(super) steady: Batch,
    /// Needs so little space that free pages of the file are likely to hold it.
    pub(super) small: Batch,
    pub(super) large: Vec<QueuedCall>,
}

impl Parts {
    pub(super) fn of(batch: Batch) -> Self {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use idem_core::record::Checkpoint;
    use idem_core::{Key, Outcome, Owner, Scope, Token};

    use super::*;

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

    /// What is retried, and how much of the batch is refused.
    fn again(mut batch: Batch, admitted: Admitted) -> (Vec<(usize, Admitted)>, usize) {
        let parts = retry_parts(&mut batch, admitted);
        (parts.into_iter().map(|(part, admitted)| (part.len(), admitted)).collect(), batch.len())
    }

    #[test]
    fn calls_that_need_less_room_are_retried_without_those_that_need_more() {
        let parts = vec![(3, Admitted::Steady), (2, Admitted::Small)];
        assert_eq!(again(batch(3, 2, 1), Admitted::Usual), (parts, 1));
        assert_eq!(again(batch(3, 0, 0), Admitted::Steady), (vec![(1, Admitted::Steady)], 2));
        assert_eq!(again(batch(0, 2, 0), Admitted::Small), (vec![(1, Admitted::Small)], 1));
        for admitted in [Admitted::Usual, Admitted::Small] {
            assert_eq!(again(batch(0, 1, 0), admitted), (vec![], 1));
        }
    }
}
