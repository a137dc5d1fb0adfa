//! Invariants after any calls in any order, by any owner, with any token that was ever granted.
//!
//! A witness keeps its own account from the answers alone, without the rules of `decide`.

use std::time::Duration;

use idem_core::backend::{Answer, Call, Change, Decision, Grant, decide};
use idem_core::clock::Timestamp;
use idem_core::record::{Record, State};
use idem_core::{Claim, Effect, Outcome, Owner, Token};
use proptest::prelude::*;

use crate::steps::{Moment, Step, step};
use crate::support::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn promises_hold_whatever_is_called(strict in any::<bool>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(strict);
        for step in steps {
            world.take(&step)?;
        }
    }
}

struct World {
    /// Whether the store keeps sequences rising across removal.
    strict: bool,
    now: Timestamp,
    record: Option<Record>,
    tokens: Vec<Token>,
    witness: Witness,
}

#[derive(Default)]
struct Witness {
    holder: Option<(Token, Timestamp)>,
    completion: Option<(Token, Outcome, Timestamp)>,
    highest_sequence: u64,
}

impl World {
    fn new(strict: bool) -> Self {
        Self { strict, now: START, record: None, tokens: Vec::new(), witness: Witness::default() }
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let Some(call) = self.call(step) else { return Ok(()) };
        let before = self.record.clone().filter(|record| !record.is_expired(self.now));
        let decision = decide(self.record.as_ref(), call.clone(), self.now);
        self.apply(&decision);
        self.check_change(before.as_ref(), &call, &decision)?;
        self.check_answer(before.as_ref(), &call, &decision)?;
        self.check_resend(&call, &decision)
    }

    fn call(&mut self, step: &Step) -> Option<Call> {
        let token = |which: usize| {
            let known = self.tokens.len();
            (known > 0).then(|| self.tokens[known - 1 - which % known])
        };
        match *step {
            Step::Pass(ref moment) => {
                self.pass(moment);
                None
            }
            Step::Lock { owner, same_request, lease } => Some(Call::Lock {
                fingerprint: if same_request { order() } else { other_order() },
                claim: Claim { owner: Owner::from_bytes([owner; 16]), lease, retention: RETENTION },
                min_sequence: if self.strict { self.witness.highest_sequence + 1 } else { 0 },
            }),
            Step::Renew { which, duration } => Some(Call::Renew { token: token(which)?, duration }),
            Step::Checkpoint { which, step, duration } => {
                Some(Call::Checkpoint { token: token(which)?, checkpoint: checkpoint(step), duration })
            }
            Step::Complete { which, outcome, retention } => {
                Some(Call::Complete { token: token(which)?, outcome: value(outcome), retention })
            }
            Step::Release { which } => Some(Call::Release { token: token(which)? }),
            Step::Remove { force } => Some(Call::Remove { force }),
        }
    }

    fn pass(&mut self, moment: &Moment) {
        let at = |time: Option<Timestamp>| time.unwrap_or(self.now);
        let expiry = self.record.as_ref().map(Record::expires_at);
        let deadline = self.record.as_ref().and_then(|record| match &record.state {
            State::Locked(locked) => Some(locked.deadline),
            State::Completed(_) => None,
        });
        let then = match moment {
            Moment::After(duration) => self.now + *duration,
            Moment::BeforeDeadline => at(deadline) - MICRO,
            Moment::Deadline => at(deadline),
            Moment::BeforeExpiry => at(expiry) - MICRO,
            Moment::Expiry => at(expiry),
        };
        self.now = self.now.max(then);
    }

    fn apply(&mut self, decision: &Decision) {
        match &decision.change {
            Change::None => {}
            Change::Put(record) => self.record = Some(record.clone()),
            Change::Remove => self.record = None,
        }
    }

    /// A record is changed only by its holder, by a takeover, or by an operator.
    fn check_change(
        &self,
        before: Option<&Record>,
        call: &Call,
        decision: &Decision,
    ) -> Result<(), TestCaseError> {
        if decision.change == Change::None {
            return Ok(());
        }
        let held_by = self.witness.holder.map(|(token, _)| token);
        match call {
            Call::Lock { .. } => prop_assert!(matches!(decision.answer, Answer::Acquired(_))),
            Call::Remove { .. } => prop_assert_eq!(&decision.answer, &Answer::Removed(true)),
            Call::Renew { token, .. }
            | Call::Checkpoint { token, .. }
            | Call::Complete { token, .. }
            | Call::Release { token } => {
                prop_assert_eq!(held_by, Some(*token));
                prop_assert_eq!(&decision.answer, &Answer::Effect(Effect::Applied));
            }
        }
        if let (Call::Renew { .. } | Call::Checkpoint { .. }, Some(before), Some(after)) =
            (call, before, &self.record)
        {
            prop_assert!(deadline_of(after) >= deadline_of(before), "a lease was shortened");
        }
        Ok(())
    }

    fn check_answer(
        &mut self,
        before: Option<&Record>,
        call: &Call,
        decision: &Decision,
    ) -> Result<(), TestCaseError> {
        match (call, &decision.answer) {
            (Call::Lock { .. }, Answer::Acquired(grant)) => self.acquired(before, grant),
            (Call::Lock { fingerprint, .. }, Answer::Completed(replay)) => {
                let kept = self.witness.completion.clone();
                let told = (replay.token, replay.outcome.clone(), replay.expires_at);
                prop_assert_eq!(kept, Some(told));
                prop_assert_eq!(Some(*fingerprint), before.map(|record| record.fingerprint));
                Ok(())
            }
            (Call::Lock { .. }, Answer::InProgress(remaining)) => {
                let (_, until) = self.witness.holder.ok_or_else(|| TestCaseError::fail("nobody holds it"))?;
                prop_assert_eq!(until, self.now + *remaining);
                Ok(())
            }
            (Call::Lock { fingerprint, .. }, Answer::FingerprintMismatch) => {
                prop_assert!(before.is_some_and(|record| record.fingerprint != *fingerprint));
                Ok(())
            }
            (Call::Complete { token, outcome, retention }, Answer::Effect(Effect::Applied)) => {
                self.completed(*token, outcome, *retention)
            }
            (
                Call::Renew { duration, .. } | Call::Checkpoint { duration, .. },
                Answer::Effect(Effect::Applied),
            ) => {
                if let (Some((_, until)), Change::Put(_)) = (&mut self.witness.holder, &decision.change) {
                    *until = (*until).max(self.now + *duration);
                }
                Ok(())
            }
            (Call::Release { .. }, Answer::Effect(Effect::Applied)) => {
                self.witness.holder = None;
                Ok(())
            }
            (Call::Remove { force }, Answer::Removed(true)) => {
                if let Some((_, until)) = self.witness.holder {
                    prop_assert!(*force || until <= self.now, "a live lease was removed");
                }
                self.witness.holder = None;
                self.witness.completion = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// There is at most one holder, none while a completion lasts, and each new holder gets a higher sequence.
    fn acquired(&mut self, before: Option<&Record>, grant: &Grant) -> Result<(), TestCaseError> {
        let until = self.now + grant.valid_for;
        if let Some((_, _, expires_at)) = &self.witness.completion {
            prop_assert!(*expires_at <= self.now, "acquired over a completion");
            self.witness.completion = None;
        }
        if let Some((holder, deadline)) = self.witness.holder {
            prop_assert!(holder == grant.token || deadline <= self.now, "two holders");
        }
        if self.witness.holder.is_some_and(|(token, _)| token == grant.token) && before.is_some() {
            prop_assert_eq!(before.map(|record| record.attempt), Some(grant.attempt));
        } else {
            // Without strict sequences a removed key may begin anew, and rises from there.
            let highest = match before {
                _ if self.strict => self.witness.highest_sequence,
                Some(record) => record.token.sequence,
                None => 0,
            };
            prop_assert!(grant.token.sequence > highest, "the sequence did not rise");
            prop_assert_eq!(grant.attempt, before.map_or(1, |record| record.attempt + 1));
            self.tokens.push(grant.token);
        }
        self.witness.highest_sequence = self.witness.highest_sequence.max(grant.token.sequence);
        self.witness.holder = Some((grant.token, until));
        Ok(())
    }

    fn completed(
        &mut self,
        token: Token,
        outcome: &Outcome,
        retention: Duration,
    ) -> Result<(), TestCaseError> {
        if let Some((by, kept, expires_at)) = &self.witness.completion
            && *expires_at > self.now
        {
            prop_assert_eq!(*by, token, "a second completion was accepted");
            prop_assert_eq!(self.record.as_ref().and_then(Record::outcome), Some(kept));
            return Ok(());
        }
        let (holder, until) = self.witness.holder.take().ok_or_else(|| TestCaseError::fail("not held"))?;
        prop_assert_eq!(holder, token);
        self.witness.completion = Some((token, outcome.clone(), (self.now + retention).max(until)));
        Ok(())
    }

    /// The same call again leaves the record as the first one did, and grants the same.
    fn check_resend(&mut self, call: &Call, first: &Decision) -> Result<(), TestCaseError> {
        let after = self.record.clone();
        let again = decide(self.record.as_ref(), call.clone(), self.now);
        self.apply(&again);
        prop_assert_eq!(&self.record, &after);
        match call {
            // The first call gave the key away, so the second one finds nothing to give.
            Call::Release { .. } | Call::Remove { .. } => {}
            _ => prop_assert_eq!(&again.answer, &first.answer),
        }
        Ok(())
    }
}

fn deadline_of(record: &Record) -> Option<Timestamp> {
    match &record.state {
        State::Locked(locked) => Some(locked.deadline),
        State::Completed(_) => None,
    }
}
