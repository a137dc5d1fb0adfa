//! The decisions and writes of a store with a flaw.

use std::time::Duration;

use idem_core::backend::{Answer, Call, Change, Decision, decide};
use idem_core::clock::Timestamp;
use idem_core::record::{Record, State};
use idem_core::{Effect, Fingerprint, LostReason, Outcome, Owner, Token};

use crate::flaw::Flaw;

/// The decision of `decide`, altered by `flaw`.
pub(crate) fn flawed(flaw: Flaw, record: Option<&Record>, mut call: Call, now: Timestamp) -> Decision {
    let mut record = record.cloned();
    if flaw != Flaw::NeverForgets {
        record = record.filter(|record| !record.is_expired(now));
    }
    before(flaw, &mut record, &mut call, now);
    let mut decision = decide(record.as_ref(), call.clone(), now);
    after(flaw, record.as_ref(), &call, &mut decision, now);
    decision
}

/// Alters the record or the call before `decide` sees it.
fn before(flaw: Flaw, record: &mut Option<Record>, call: &mut Call, now: Timestamp) {
    let Some(stored) = record.as_mut() else { return };
    let same_owner = matches!(call, Call::Lock { claim, .. } if claim.owner == stored.token.owner);
    let token = token_of(call);
    match (flaw, &mut stored.state, &mut *call) {
        (Flaw::IgnoresFingerprints, _, Call::Lock { fingerprint, .. }) => *fingerprint = stored.fingerprint,
        (Flaw::GrantsSecondHolder, State::Locked(locked), Call::Lock { .. }) if !same_owner => {
            locked.deadline = now;
        }
        (Flaw::NeverTakesOver, State::Locked(locked), Call::Lock { .. }) if !same_owner => {
            locked.held = true;
            locked.deadline = now + Duration::from_secs(1);
        }
        (Flaw::EndsLate, State::Locked(locked), Call::Lock { .. }) => {
            locked.deadline = locked.deadline + Duration::from_micros(1);
        }
        (Flaw::RefusesItsHolder, State::Locked(_), Call::Lock { .. }) if same_owner => {
            stored.token.owner = Owner::from_bytes([0xEE; 16]);
        }
        (Flaw::GivesItsHolderNewToken, State::Locked(locked), Call::Lock { .. }) if same_owner => {
            locked.held = false;
        }
        (Flaw::NeverForgets, state, _) => match state {
            State::Locked(locked) => locked.retention = Duration::from_hours(1_000_000),
            State::Completed(completed) => completed.expires_at = now + Duration::from_secs(1),
        },
        (Flaw::ForgetsWithTheLease, State::Locked(locked), _) if now >= locked.deadline => *record = None,
        (Flaw::RunsCompletedAgain, State::Completed(_), Call::Lock { .. }) => *record = None,
        (Flaw::RefusesLapsedHolder, State::Locked(locked), _)
            if now >= locked.deadline && token.is_some() =>
        {
            *record = None;
        }
        (Flaw::AcceptsAnyToken, _, _) => set_token(call, stored.token),
        (Flaw::ComparesSequenceOnly, _, _)
            if token.is_some_and(|token| token.sequence == stored.token.sequence) =>
        {
            set_token(call, stored.token);
        }
        (Flaw::ComparesOwnerOnly, _, _) if token.is_some_and(|token| token.owner == stored.token.owner) => {
            set_token(call, stored.token);
        }
        (Flaw::WritesAnyStep, State::Locked(locked), Call::Checkpoint { .. }) => locked.checkpoint = None,
        (Flaw::RemovesByForceAlways, _, Call::Remove { force }) => *force = true,
        (Flaw::RemovesNoLapsedLease, State::Locked(locked), Call::Remove { .. }) => {
            locked.held = true;
            locked.deadline = now + Duration::from_secs(1);
        }
        _ => {}
    }
}

/// Alters the decision of `decide`.
fn after(flaw: Flaw, record: Option<&Record>, call: &Call, decision: &mut Decision, now: Timestamp) {
    let resent = record.is_some_and(|record| Some(record.token) == token_of(call));
    match (flaw, &mut decision.answer, call) {
        (Flaw::SaysGone, Answer::Effect(Effect::Lost(reason)), _) => *reason = LostReason::Gone,
        (Flaw::SaysSuperseded, Answer::Effect(Effect::Lost(reason)), _) => *reason = LostReason::Superseded,
        (Flaw::HidesWhatIsLeft, Answer::InProgress(remaining), _) => *remaining = Duration::ZERO,
        (Flaw::SaysRemoved, Answer::Removed(removed), _) => *removed = true,
        (Flaw::RefusesResentCompletion, answer, Call::Complete { .. })
            if resent && decision.change == Change::None =>
        {
            *answer = Answer::Effect(Effect::Lost(LostReason::Completed));
        }
        (
            Flaw::OverwritesCompletion,
            Answer::Effect(Effect::Applied),
            Call::Complete { outcome, retention, .. },
        ) => {
            if let Some(record) = record.cloned() {
                decision.change = Change::Put(completed(record, outcome.clone(), now, now + *retention));
            }
        }
        (Flaw::MismatchEndsLease, Answer::FingerprintMismatch, _) => decision.change = Change::Remove,
        (Flaw::RemovesNothing, Answer::Removed(_), _) | (Flaw::AppliesNothing, Answer::Effect(_), _) => {
            decision.change = Change::None;
        }
        (Flaw::ReleaseRemovesAll, Answer::Effect(Effect::Applied), Call::Release { .. }) => {
            decision.change = Change::Remove;
        }
        (
            Flaw::ReleaseKeepsAll | Flaw::ReleaseKeepsTheLease,
            Answer::Effect(Effect::Applied),
            Call::Release { .. },
        ) => {
            if let Some(mut record) = record.cloned() {
                let keeps_lease = flaw == Flaw::ReleaseKeepsTheLease;
                if let State::Locked(locked) = &mut record.state {
                    locked.held = keeps_lease;
                }
                decision.change = Change::Put(record);
            }
        }
        (Flaw::DropsCheckpoints, Answer::Acquired(grant), _) => grant.checkpoint = None,
        (Flaw::KeepsAttempt, Answer::Acquired(grant), _) => grant.attempt = 1,
        (Flaw::CountsAttemptsFromZero, Answer::Acquired(grant), _) => grant.attempt -= 1,
        (Flaw::GrantsTooLong, Answer::Acquired(grant), _) => grant.valid_for *= 2,
        (Flaw::ProlongsWhenResent, Answer::Acquired(grant), Call::Lock { claim, .. }) => {
            grant.valid_for = claim.lease;
        }
        (Flaw::KeepsSequence, Answer::Acquired(grant), _) => {
            grant.token.sequence = record.map_or(grant.token.sequence, |record| record.token.sequence);
        }
        (Flaw::GarblesOutcomes, Answer::Completed(replay), _) => {
            replay.outcome = Outcome::Value(b"something else".as_slice().into());
        }
        _ => {}
    }
    if let Change::Put(put) = &mut decision.change {
        written(flaw, record, call, put, now);
    }
}

/// Alters the record that is written.
fn written(flaw: Flaw, before: Option<&Record>, call: &Call, put: &mut Record, now: Timestamp) {
    let locked_before = before.and_then(|record| match &record.state {
        State::Locked(locked) => Some(locked),
        State::Completed(_) => None,
    });
    match (flaw, &mut put.state) {
        (Flaw::ForgetsFingerprints, State::Completed(_)) => {
            put.fingerprint = Fingerprint::from_bytes([0; 32]);
        }
        (Flaw::KeepsAttempt, _) => put.attempt = 1,
        (Flaw::KeepsSequence, _) => {
            put.token.sequence = before.map_or(put.token.sequence, |before| before.token.sequence);
        }
        (Flaw::KeepsTimes, State::Locked(locked)) => {
            if let (Some(before), Call::Lock { .. }) = (locked_before, call) {
                locked.retention = before.retention;
            }
        }
        (Flaw::DropsCheckpoints, State::Locked(locked)) if matches!(call, Call::Lock { .. }) => {
            locked.checkpoint = None;
        }
        (Flaw::CountsRetentionFromLock, State::Completed(completed)) => {
            if let Some(before) = locked_before {
                completed.expires_at = before.deadline + before.retention;
            }
        }
        (Flaw::ForgetsBeforeDeadline, State::Completed(completed)) => {
            if let Call::Complete { retention, .. } = call {
                completed.expires_at = now + *retention;
            }
        }
        (Flaw::Shortens, State::Locked(locked)) => {
            if let Call::Renew { duration, .. } | Call::Checkpoint { duration, .. } = call {
                locked.deadline = now + *duration;
            }
        }
        (Flaw::AddsToTheDeadline, State::Locked(locked)) => {
            if let (Call::Renew { duration, .. } | Call::Checkpoint { duration, .. }, Some(before)) =
                (call, locked_before)
            {
                locked.deadline = before.deadline + *duration;
            }
        }
        (Flaw::RenewDropsCheckpoint, State::Locked(locked)) if matches!(call, Call::Renew { .. }) => {
            locked.checkpoint = None;
        }
        (Flaw::WritesFirstStepOnly, State::Locked(locked)) => {
            if let (Some(before), Call::Checkpoint { .. }) = (locked_before, call) {
                locked.checkpoint = before.checkpoint.clone().or(locked.checkpoint.take());
            }
        }
        _ => {}
    }
}

/// The record that an interrupted write leaves.
pub(crate) fn half(mut record: Record) -> Record {
    record.attempt = 0;
    record.token.owner = Owner::from_bytes([0; 16]);
    match &mut record.state {
        State::Locked(locked) => locked.checkpoint = None,
        State::Completed(completed) => completed.outcome = Outcome::Value(b"half".as_slice().into()),
    }
    record
}

fn completed(mut record: Record, outcome: Outcome, now: Timestamp, expires_at: Timestamp) -> Record {
    record.state = State::Completed(idem_core::record::Completion { outcome, completed_at: now, expires_at });
    record
}

fn token_of(call: &Call) -> Option<Token> {
    match call {
        Call::Renew { token, .. }
        | Call::Checkpoint { token, .. }
        | Call::Complete { token, .. }
        | Call::Release { token } => Some(*token),
        Call::Lock { .. } | Call::Remove { .. } => None,
    }
}

fn set_token(call: &mut Call, to: Token) {
    match call {
        Call::Renew { token, .. }
        | Call::Checkpoint { token, .. }
        | Call::Complete { token, .. }
        | Call::Release { token } => *token = to,
        Call::Lock { .. } | Call::Remove { .. } => {}
    }
}
