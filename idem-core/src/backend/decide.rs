//! The one transition: what a call does to a record. A pure function, so that every backend can be tested against it.
//!
//! A backend's only task is to run [`decide`] and carry out its [`Change`] as one atomic step.

use std::time::Duration;

use crate::claim::{Claim, Grant};
use crate::clock::{Timestamp, micros};
use crate::effect::{Effect, LostReason};
use crate::identity::{Fingerprint, Token};
use crate::record::{Checkpoint, Completion, Locked, Outcome, Record, Replay, State};

/// A call that may change a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// [`Store::lock`](crate::Store::lock)
    Lock {
        /// What the request asks for.
        fingerprint: Fingerprint,
        /// Who asks, and for how long.
        claim: Claim,
        /// The least sequence of a new token. A store sets it to keep sequences rising across the removal of a record.
        min_sequence: u64,
    },
    /// [`Store::renew`](crate::Store::renew)
    Renew {
        /// Who asks.
        token: Token,
        /// The lease from now on.
        duration: Duration,
    },
    /// [`Store::checkpoint`](crate::Store::checkpoint)
    Checkpoint {
        /// Who asks.
        token: Token,
        /// The recovery point to keep.
        checkpoint: Checkpoint,
        /// The lease from now on.
        duration: Duration,
    },
    /// [`Store::complete`](crate::Store::complete)
    Complete {
        /// Who asks.
        token: Token,
        /// What every retry shall get.
        outcome: Outcome,
        /// How long.
        retention: Duration,
    },
    /// [`Store::release`](crate::Store::release)
    Release {
        /// Who asks.
        token: Token,
    },
    /// [`Store::remove`](crate::Store::remove)
    Remove {
        /// Whether to remove a record whose lease is live.
        force: bool,
    },
}

/// The answer to a call, and the change that must be made to the record for the answer to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer to the caller.
    pub answer: Answer,
    /// What becomes of the record.
    pub change: Change,
}

/// The answer to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `lock`: acquired.
    Acquired(Grant),
    /// To `lock`: another caller holds the key for this long.
    InProgress(Duration),
    /// To `lock`: the work ran to its end before.
    Completed(Replay),
    /// To `lock`: the key was used for a different request.
    FingerprintMismatch,
    /// To a holder's call.
    Effect(Effect),
    /// To `remove`: whether a record was removed.
    Removed(bool),
}

/// What becomes of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    None,
    /// This record is written, in place of the one before if there is one.
    Put(Record),
    /// It is removed.
    Remove,
}

/// What `call` does at `now` to `record` (`None`: the store has none for the key).
///
/// This is the only place where the rules stand. The tables say the same, row by row.
///
/// # `lock`
///
/// | record found | condition | answer | record after |
/// |---|---|---|---|
/// | none, or past its retention | | `Acquired`, attempt 1 | Locked |
/// | Locked | fingerprint differs (lease live or over) | `FingerprintMismatch` | as before |
/// | Locked, lease live | same owner | `Acquired`, the same token and attempt | as before: a resent `lock` is the same `lock` |
/// | Locked, lease live | other owner | `InProgress` | as before |
/// | Locked, lease over | same owner | `Acquired`, the same token and attempt | lease restarted: a late duplicate never supersedes its own holder |
/// | Locked, lease over, or released with a checkpoint | other owner | `Acquired`, attempt + 1, new token, the checkpoint | Locked by the new owner |
/// | Completed | fingerprint differs | `FingerprintMismatch` | as before |
/// | Completed | same fingerprint | `Completed` | as before |
///
/// A Locked record lives until its lease deadline plus the retention, so that the fingerprint and the checkpoint of a
/// crashed attempt outlast its lease. A Completed record lives at least to its lease deadline.
///
/// # `complete`, `renew`, `checkpoint`, `release`
///
/// A caller holds the key when sequence *and* owner of its token are those of the record.
///
/// | record found | answer |
/// |---|---|
/// | Locked, token equal (lease live, or over and nobody took over) | `Applied` |
/// | Locked, other token | `Lost(Superseded)`, nothing written |
/// | Completed, token equal | `complete`: `Applied` again, stored outcome unchanged (a resent `complete` is the same `complete`); the others: `Lost(Completed)` |
/// | Completed, other token | `Lost(Superseded)` |
/// | released with a checkpoint, token equal | `Lost(Released)` |
/// | none | `Lost(Gone)` |
///
/// `renew` never shortens a lease. `checkpoint` writes only a step higher than the stored one; otherwise it answers
/// `Applied` and writes nothing. `release` without a checkpoint removes the record; with one it clears the holder and
/// keeps the record, so that the next attempt resumes at once.
///
/// # `remove`
///
/// Removes any record with `force`, and without it only one that has no live lease.
#[must_use]
pub fn decide(record: Option<&Record>, call: Call, now: Timestamp) -> Decision {
    let record = record.filter(|record| !record.is_expired(now));
    match call {
        Call::Lock { fingerprint, claim, min_sequence } => {
            lock(record, fingerprint, &claim, min_sequence, now)
        }
        Call::Renew { token, duration } => held(record, token, |record, locked| {
            let deadline = locked.deadline.max(now + duration);
            put_locked(record, Locked { deadline, ..locked.clone() }, now)
        }),
        Call::Checkpoint { token, checkpoint, duration } => held(record, token, |record, locked| {
            if locked.checkpoint.as_ref().is_some_and(|stored| checkpoint.step <= stored.step) {
                return Change::None;
            }
            let deadline = locked.deadline.max(now + duration);
            put_locked(record, Locked { deadline, checkpoint: Some(checkpoint), ..locked.clone() }, now)
        }),
        Call::Complete { token, outcome, retention } => complete(record, token, outcome, retention, now),
        Call::Release { token } => held(record, token, |record, locked| {
            if locked.checkpoint.is_none() {
                return Change::Remove;
            }
            // There is no longer a lease, so the retention counts from now.
            put_locked(record, Locked { held: false, deadline: now, ..locked.clone() }, now)
        }),
        Call::Remove { force } => match record {
            Some(record) if force || record.live_lease(now).is_none() => {
                Decision { answer: Answer::Removed(true), change: Change::Remove }
            }
            _ => unchanged(Answer::Removed(false)),
        },
    }
}

/// The completion that a retry with `fingerprint` gets at `now`. `None` while `record` is locked, once it has expired,
/// or for another fingerprint. Stores implement [`Store::peek`](crate::Store::peek) with it.
#[must_use]
pub fn replay(record: &Record, fingerprint: &Fingerprint, now: Timestamp) -> Option<Replay> {
    match &record.state {
        State::Completed(completed) if record.fingerprint == *fingerprint && !record.is_expired(now) => {
            Some(completion(record.token, completed))
        }
        _ => None,
    }
}

fn completion(token: Token, completed: &Completion) -> Replay {
    Replay {
        outcome: completed.outcome.clone(),
        completed_at: completed.completed_at,
        expires_at: completed.expires_at,
        token,
    }
}

fn lock(
    record: Option<&Record>,
    fingerprint: Fingerprint,
    claim: &Claim,
    min_sequence: u64,
    now: Timestamp,
) -> Decision {
    let Some(record) = record else {
        let token = Token { sequence: min_sequence.max(now.as_micros()), owner: claim.owner };
        return acquire(fingerprint, token, 1, None, claim, now);
    };
    if record.fingerprint != fingerprint {
        return unchanged(Answer::FingerprintMismatch);
    }
    match &record.state {
        State::Completed(completed) => unchanged(Answer::Completed(completion(record.token, completed))),
        State::Locked(locked) => lock_locked(record, locked, claim, min_sequence, now),
    }
}

fn lock_locked(
    record: &Record,
    locked: &Locked,
    claim: &Claim,
    min_sequence: u64,
    now: Timestamp,
) -> Decision {
    let checkpoint = locked.checkpoint.clone();
    let same_owner = locked.held && record.token.owner == claim.owner;
    match record.live_lease(now) {
        Some(valid_for) if same_owner => {
            let grant = Grant { token: record.token, attempt: record.attempt, checkpoint, valid_for };
            unchanged(Answer::Acquired(grant))
        }
        Some(remaining) => unchanged(Answer::InProgress(remaining)),
        None if same_owner => {
            acquire(record.fingerprint, record.token, record.attempt, checkpoint, claim, now)
        }
        None => {
            let sequence = min_sequence.max(now.as_micros()).max(record.token.sequence.saturating_add(1));
            let token = Token { sequence, owner: claim.owner };
            acquire(record.fingerprint, token, record.attempt.saturating_add(1), checkpoint, claim, now)
        }
    }
}

fn acquire(
    fingerprint: Fingerprint,
    token: Token,
    attempt: u32,
    checkpoint: Option<Checkpoint>,
    claim: &Claim,
    now: Timestamp,
) -> Decision {
    let grant = Grant { token, attempt, checkpoint: checkpoint.clone(), valid_for: claim.lease };
    // Rounded as it is stored, so that a record is the same before it is written and after it is read.
    let retention = Duration::from_micros(micros(claim.retention));
    let locked = Locked { held: true, deadline: now + claim.lease, retention, checkpoint };
    let record = Record { fingerprint, token, attempt, state: State::Locked(locked), as_of: now };
    Decision { answer: Answer::Acquired(grant), change: Change::Put(record) }
}

fn complete(
    record: Option<&Record>,
    token: Token,
    outcome: Outcome,
    retention: Duration,
    now: Timestamp,
) -> Decision {
    if let Some(Record { token: stored, state: State::Completed(_), .. }) = record
        && *stored == token
    {
        return unchanged(Answer::Effect(Effect::Applied));
    }
    held(record, token, |record, locked| {
        let expires_at = (now + retention).max(locked.deadline);
        let completed = Completion { outcome, completed_at: now, expires_at };
        Change::Put(Record { state: State::Completed(completed), as_of: now, ..record.clone() })
    })
}

/// Makes `change` if `token` holds the record, and otherwise says why it does not.
fn held(record: Option<&Record>, token: Token, change: impl FnOnce(&Record, &Locked) -> Change) -> Decision {
    let lost = |reason| unchanged(Answer::Effect(Effect::Lost(reason)));
    match record {
        None => lost(LostReason::Gone),
        Some(record) if record.token != token => lost(LostReason::Superseded),
        Some(record) => match &record.state {
            State::Completed(_) => lost(LostReason::Completed),
            State::Locked(locked) if !locked.held => lost(LostReason::Released),
            State::Locked(locked) => {
                Decision { answer: Answer::Effect(Effect::Applied), change: change(record, locked) }
            }
        },
    }
}

fn put_locked(record: &Record, locked: Locked, now: Timestamp) -> Change {
    Change::Put(Record { state: State::Locked(locked), as_of: now, ..record.clone() })
}

fn unchanged(answer: Answer) -> Decision {
    Decision { answer, change: Change::None }
}
