//! What an answer must be, however slow the machine is.
//!
//! All times are measured by the harness: a lost lease reports that no time is left, so it cannot be used to judge
//! answers. A call is sent before its store sees it, and answered after: what holds for the whole of that span held
//! when the store decided. An answer that only a slow machine explains counts as unsure.

use std::time::Duration;

use idem_core::{Execution, LostReason, Outcome};
use tokio::time::Instant;

use crate::times::{LEASE, STILL_KEPT, WAIT};

pub(crate) type Answer = Execution<Outcome, &'static str>;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Holds,
    /// The answer is allowed, and not counted: the retention of the key is over.
    Passes,
    /// The call took so long that its answer says nothing.
    Unsure,
    Broken(String),
}

/// Judges the answer to work under a key that nobody has used. The work makes `outcome`.
pub(crate) fn fresh(answer: &Answer, outcome: &Outcome, took: Duration) -> Judgement {
    match answer {
        Execution::Executed(ran) if ran == outcome => Judgement::Holds,
        _ if is_unsure(answer) => Judgement::Unsure,
        Execution::LeaseLost(ran) if ran == outcome && took >= LEASE => Judgement::Unsure,
        _ => Judgement::Broken(format!("a fresh key was answered {answer:?} after {took:?}")),
    }
}

/// Judges the answer to a retry, sent `age` after the execution of its key whose outcome is `kept`. The retry's own work
/// would make `again`.
pub(crate) fn retried(answer: &Answer, kept: &Outcome, again: &Outcome, age: Duration) -> Judgement {
    match answer {
        Execution::Replayed(told) if told == kept => Judgement::Holds,
        // Past its retention the key is fresh, and the retry's own result may become the key's.
        Execution::Replayed(value) | Execution::Executed(value) if age > STILL_KEPT && value == again => {
            Judgement::Passes
        }
        Execution::LeaseLost(value) if age > STILL_KEPT + LEASE && value == again => Judgement::Unsure,
        Execution::InProgress { .. } if age > STILL_KEPT + WAIT => Judgement::Unsure,
        _ if age > STILL_KEPT && is_unsure(answer) => Judgement::Unsure,
        _ => Judgement::Broken(format!("a retry after {age:?} was answered {answer:?}")),
    }
}

/// Judges the answers to two callers of one key at once, each of which would make its own of `outcomes`.
pub(crate) fn raced(answers: [&Answer; 2], outcomes: [&Outcome; 2], took: Duration) -> Judgement {
    let [one, other] = answers;
    match (one, other) {
        (Execution::Executed(ran), Execution::Replayed(told)) if ran == outcomes[0] && told == ran => {
            return Judgement::Holds;
        }
        (Execution::Replayed(told), Execution::Executed(ran)) if ran == outcomes[1] && told == ran => {
            return Judgement::Holds;
        }
        _ => {}
    }
    // One may have taken over from the other, or waited for it in vain.
    let late = took >= LEASE || is_unsure(one) || is_unsure(other);
    let may_be = |answer: &Answer, own: &Outcome| match answer {
        Execution::Executed(ran) | Execution::LeaseLost(ran) => ran == own,
        Execution::Replayed(told) => outcomes.contains(&told),
        Execution::InProgress { .. } => took >= WAIT,
        _ => is_unsure(answer),
    };
    if late && may_be(one, outcomes[0]) && may_be(other, outcomes[1]) {
        return Judgement::Unsure;
    }
    Judgement::Broken(format!("a race for one key ended in {answers:?} after {took:?}"))
}

/// Judges the loss of a lease whose holder is alone with its key, and which lasts until `held_until` at least.
pub(crate) fn lost(reason: LostReason, held_until: Instant, answered: Instant) -> Judgement {
    match held_until.checked_duration_since(answered) {
        Some(left) if !left.is_zero() => {
            Judgement::Broken(format!("a lease that was live for {left:?} yet was lost: {reason:?}"))
        }
        _ => Judgement::Unsure,
    }
}

/// Whether the work ran, and only a lack of time hides what became of its result.
fn is_unsure(answer: &Answer) -> bool {
    matches!(answer, Execution::Unknown(_, error) if error.kind().is_transient())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use idem_core::error::Operation;
    use idem_core::{Error, ErrorKind};

    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    fn outcome(text: &'static str) -> Outcome {
        Outcome::Value(Bytes::from_static(text.as_bytes()))
    }

    fn unknown(kind: ErrorKind) -> Answer {
        Execution::Unknown(outcome("mine"), Error::new(kind, Operation::Complete, "as the test says"))
    }

    fn is_broken(judgement: &Judgement) -> bool {
        matches!(judgement, Judgement::Broken(_))
    }

    #[test]
    fn loss_of_a_lease_that_is_still_live_is_a_broken_promise() {
        let answered = Instant::now();
        for reason in [LostReason::Superseded, LostReason::Gone, LostReason::Released, LostReason::Completed]
        {
            assert!(is_broken(&lost(reason, answered + SOON, answered)), "{reason:?}");
            assert_eq!(lost(reason, answered, answered), Judgement::Unsure, "{reason:?}");
            assert_eq!(lost(reason, answered, answered + SOON), Judgement::Unsure, "{reason:?}");
        }
    }

    #[test]
    fn retry_gets_the_kept_outcome_or_past_the_retention_its_own() {
        let (kept, again) = (outcome("kept"), outcome("again"));
        let judge = |answer: &Answer, age| retried(answer, &kept, &again, age);
        let late = STILL_KEPT + WAIT + SOON;
        for age in [SOON, late] {
            assert_eq!(judge(&Execution::Replayed(kept.clone()), age), Judgement::Holds);
            for value in [Execution::Replayed, Execution::Executed, Execution::LeaseLost] {
                assert!(is_broken(&judge(&value(outcome("of another")), age)), "{age:?}");
            }
            assert!(is_broken(&judge(&Execution::FingerprintMismatch, age)), "{age:?}");
            assert!(is_broken(&judge(&unknown(ErrorKind::Corrupt), age)), "{age:?}");
            assert!(is_broken(&judge(&Execution::Failed("declined"), age)), "{age:?}");
        }
        for value in [Execution::Replayed, Execution::Executed, Execution::LeaseLost] {
            assert!(is_broken(&judge(&value(again.clone()), SOON)));
            assert!(!is_broken(&judge(&value(again.clone()), late)));
        }
        for (answer, age) in
            [(Execution::InProgress { remaining: SOON }, late), (unknown(ErrorKind::Timeout), late)]
        {
            assert!(is_broken(&judge(&answer, SOON)), "{answer:?}");
            assert_eq!(judge(&answer, age), Judgement::Unsure, "{answer:?}");
        }
    }

    #[test]
    fn fresh_key_is_executed_unless_the_machine_is_slow() {
        let (mine, other) = (outcome("mine"), outcome("other"));
        let judge = |answer: &Answer, took| fresh(answer, &mine, took);
        assert_eq!(judge(&Execution::Executed(mine.clone()), SOON), Judgement::Holds);
        assert_eq!(judge(&unknown(ErrorKind::Timeout), SOON), Judgement::Unsure);
        assert_eq!(judge(&Execution::LeaseLost(mine.clone()), LEASE), Judgement::Unsure);
        for (answer, took) in [
            (Execution::Executed(other.clone()), LEASE),
            (Execution::Replayed(mine.clone()), LEASE),
            (Execution::LeaseLost(mine.clone()), SOON),
            (Execution::LeaseLost(other), LEASE),
            (Execution::InProgress { remaining: SOON }, WAIT),
            (unknown(ErrorKind::Full), LEASE),
        ] {
            assert!(is_broken(&judge(&answer, took)), "{answer:?} after {took:?}");
        }
    }

    #[test]
    fn race_has_one_execution_unless_the_machine_is_slow() {
        let (one, two) = (outcome("one"), outcome("two"));
        let judge = |answers: [&Answer; 2], took| raced(answers, [&one, &two], took);
        let (ran, told) = (Execution::Executed(one.clone()), Execution::Replayed(one.clone()));
        let second = Execution::Executed(two.clone());
        assert_eq!(judge([&ran, &told], SOON), Judgement::Holds);
        assert_eq!(judge([&Execution::Replayed(two.clone()), &second], SOON), Judgement::Holds);
        assert!(is_broken(&judge([&ran, &second], SOON)), "both ran");
        assert_eq!(judge([&ran, &second], LEASE), Judgement::Unsure, "one may have taken over");
        assert_eq!(judge([&Execution::LeaseLost(one.clone()), &second], LEASE), Judgement::Unsure);
        assert!(is_broken(&judge([&ran, &Execution::Replayed(two.clone())], SOON)));
        let waits = Execution::InProgress { remaining: SOON };
        assert!(is_broken(&judge([&ran, &waits], LEASE)));
        assert_eq!(judge([&ran, &waits], WAIT), Judgement::Unsure);
        for took in [SOON, WAIT] {
            assert!(is_broken(&judge([&ran, &Execution::Replayed(outcome("of neither"))], took)));
            assert!(is_broken(&judge([&second, &told], took)), "each has the other's");
            assert!(is_broken(&judge([&ran, &unknown(ErrorKind::Corrupt)], took)));
        }
    }
}
