//! Records and calls for [`decide`], all around one moment.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Answer, Call, Change, Decision, Grant, decide};
use idem_core::clock::Timestamp;
use idem_core::record::{Checkpoint, Completion, Locked, Record, State};
use idem_core::{Claim, Effect, Fingerprint, LostReason, Outcome, Owner, Token};

pub(crate) const LEASE: Duration = Duration::from_secs(10);
pub(crate) const RETENTION: Duration = Duration::from_secs(100);
pub(crate) const MICRO: Duration = Duration::from_micros(1);

/// When the records of these tests were locked.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_000_000_000);

pub(crate) fn deadline() -> Timestamp {
    START + LEASE
}

pub(crate) fn alice() -> Owner {
    Owner::from_bytes([0xA1; 16])
}

pub(crate) fn bob() -> Owner {
    Owner::from_bytes([0xB0; 16])
}

pub(crate) fn claim(owner: Owner) -> Claim {
    Claim { owner, lease: LEASE, retention: RETENTION }
}

pub(crate) fn order() -> Fingerprint {
    Fingerprint::builder("test").part("order").finish()
}

pub(crate) fn other_order() -> Fingerprint {
    Fingerprint::builder("test").part("another order").finish()
}

pub(crate) fn token(owner: Owner) -> Token {
    Token { sequence: START.as_micros(), owner }
}

pub(crate) fn checkpoint(step: u64) -> Checkpoint {
    Checkpoint { step, progress: Bytes::from_static(b"charged") }
}

pub(crate) fn value(text: &'static str) -> Outcome {
    Outcome::Value(Bytes::from_static(text.as_bytes()))
}

/// Locked by Alice at [`START`].
pub(crate) fn locked() -> Record {
    let locked = Locked { held: true, deadline: deadline(), retention: RETENTION, checkpoint: None };
    record(State::Locked(locked))
}

pub(crate) fn locked_with(step: u64) -> Record {
    let checkpoint = Some(checkpoint(step));
    let locked = Locked { held: true, deadline: deadline(), retention: RETENTION, checkpoint };
    record(State::Locked(locked))
}

/// Released by Alice at [`START`], with a checkpoint.
pub(crate) fn released() -> Record {
    let checkpoint = Some(checkpoint(3));
    let locked = Locked { held: false, deadline: START, retention: RETENTION, checkpoint };
    record(State::Locked(locked))
}

/// Completed by Alice at [`START`].
pub(crate) fn completed() -> Record {
    let completed =
        Completion { outcome: value("booked"), completed_at: START, expires_at: START + RETENTION };
    record(State::Completed(completed))
}

fn record(state: State) -> Record {
    Record { fingerprint: order(), token: token(alice()), attempt: 1, state, as_of: START }
}

pub(crate) fn lock_call(owner: Owner) -> Call {
    Call::Lock { fingerprint: order(), claim: claim(owner), min_sequence: 0 }
}

pub(crate) fn lock(record: Option<&Record>, owner: Owner, now: Timestamp) -> Decision {
    decide(record, lock_call(owner), now)
}

pub(crate) fn lock_other_order(record: &Record, owner: Owner, now: Timestamp) -> Decision {
    let call = Call::Lock { fingerprint: other_order(), claim: claim(owner), min_sequence: 0 };
    decide(Some(record), call, now)
}

pub(crate) fn renew(token: Token) -> Call {
    Call::Renew { token, duration: LEASE }
}

pub(crate) fn save(token: Token, step: u64) -> Call {
    Call::Checkpoint { token, checkpoint: checkpoint(step), duration: LEASE }
}

pub(crate) fn complete(token: Token, outcome: Outcome) -> Call {
    Call::Complete { token, outcome, retention: RETENTION }
}

pub(crate) fn release(token: Token) -> Call {
    Call::Release { token }
}

/// One of each call that only a holder may make.
pub(crate) fn holder_calls(token: Token) -> [Call; 4] {
    [renew(token), save(token, 9), complete(token, value("booked twice")), release(token)]
}

pub(crate) fn unchanged(answer: Answer) -> Decision {
    Decision { answer, change: Change::None }
}

pub(crate) fn lost(reason: LostReason) -> Decision {
    unchanged(Answer::Effect(Effect::Lost(reason)))
}

#[track_caller]
pub(crate) fn granted(decision: &Decision) -> &Grant {
    match &decision.answer {
        Answer::Acquired(grant) => grant,
        other => panic!("not acquired: {other:?}"),
    }
}

/// The record that the call wrote.
#[track_caller]
pub(crate) fn written(decision: &Decision) -> &Record {
    match &decision.change {
        Change::Put(record) => record,
        other => panic!("nothing was written: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn written_lock(decision: &Decision) -> &Locked {
    match &written(decision).state {
        State::Locked(locked) => locked,
        State::Completed(_) => panic!("completed: {decision:?}"),
    }
}

#[track_caller]
pub(crate) fn written_completion(decision: &Decision) -> &Completion {
    match &written(decision).state {
        State::Completed(completed) => completed,
        State::Locked(_) => panic!("not completed: {decision:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_applied(decision: &Decision) {
    assert_eq!(decision.answer, Answer::Effect(Effect::Applied));
}
