//! Locking keys.

use std::time::Duration;

use idem_core::backend::{Answer, Call, Change, decide};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::record::{Completion, Locked, Record, State};
use idem_core::{Claim, Fingerprint, Key, Result};

use super::row::{Columns, Content, locked_body};
use super::{Answers, BatchedCall, damaged, key_of, micros};
use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::{Parameter, Row};

/// A key to be locked.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) claim: Claim,
    pub(crate) body: Vec<u8>,
}

/// What the server tells of a key: the record right after a lock, from which follow the answers to that lock and to others
/// at that moment.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    record: Record,
    answered: Answered,
}

/// What the server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Acquired,
    InProgress,
    /// Completed, or locked with another fingerprint.
    Refused,
}

impl Lock {
    pub(crate) fn new(key: Key, fingerprint: Fingerprint, claim: Claim) -> Result<Self> {
        Ok(Self { key, fingerprint, claim, body: locked_body(&key, fingerprint)? })
    }
}

impl BatchedCall for Lock {
    type Answer = Found;

    const SHARED: bool = true;
    const ANSWERS_OUTCOMES: bool = true;

    fn key(&self) -> &Key {
        &self.key
    }

    fn follow(&self, _first: &Self, found: &Result<Found>) -> Option<Result<Found>> {
        // Of a damaged record each has an error of its own.
        found.as_ref().ok().filter(|found| found.tells(self)).map(|found| Ok(found.clone()))
    }

    fn statement(schema: &str) -> String {
        format!("SELECT * FROM {schema}.lock($1, $2, $3, $4, $5, $6)")
    }

    fn statement_of_one(schema: &str) -> Option<String> {
        Some(format!("SELECT * FROM {schema}.lock_one($1, $2, $3, $4, $5, $6)"))
    }

    fn statement_apart(schema: &str) -> Option<String> {
        Some(format!("SELECT * FROM {schema}.lock_apart($1, $2, $3, $4, $5, $6)"))
    }

    async fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> Result<Answers<Self>, Failure> {
        let numbers = |of: fn(&Self) -> i64| Parameter::Numbers(calls.iter().map(|call| of(call)).collect());
        let bytes =
            |of: fn(&Self) -> &[u8]| Parameter::ManyBytes(calls.iter().map(|call| of(call)).collect());
        let parameters = [
            bytes(|call| call.key.storage_key()),
            bytes(|call| call.fingerprint.as_bytes()),
            bytes(|call| call.claim.owner.as_bytes()),
            numbers(|call| micros(call.claim.lease)),
            numbers(|call| micros(call.claim.retention)),
            bytes(|call| &call.body),
        ];
        found(&connection.rows(statement, &parameters).await?)
    }

    async fn send_one(
        connection: &Connection,
        statement: &str,
        call: &Self,
    ) -> Result<Answers<Self>, Failure> {
        let parameters = [
            Parameter::Bytes(call.key.storage_key()),
            Parameter::Bytes(call.fingerprint.as_bytes()),
            Parameter::Bytes(call.claim.owner.as_bytes()),
            Parameter::Number(micros(call.claim.lease)),
            Parameter::Number(micros(call.claim.retention)),
            Parameter::Bytes(&call.body),
        ];
        found(&connection.rows(statement, &parameters).await?)
    }
}

fn found(rows: &[Row]) -> Result<Answers<Lock>, Failure> {
    rows.iter()
        .map(|row| {
            let key = key_of(row)?;
            Ok((key, Found::read(&Key::from_storage_key(key), row)?))
        })
        .collect()
}

impl Found {
    /// The answer to the lock that this was told to.
    pub(crate) fn answer(&self, fingerprint: Fingerprint, claim: Claim) -> Result<Answer> {
        self.answer_to(fingerprint, claim).ok_or_else(|| {
            damaged("the record's times and holder do not go with the answer").during(Operation::Lock)
        })
    }

    /// Whether the server would have told the same to another lock at that moment.
    fn tells(&self, lock: &Lock) -> bool {
        // Of a lease in progress the checksum was not compared.
        let known = self.answered != Answered::InProgress || lock.fingerprint == self.record.fingerprint;
        known && self.answer_to(lock.fingerprint, lock.claim).is_some()
    }

    /// None where only the server can answer: the record would change, or it is of an earlier lock, which its standbys may
    /// not have.
    fn answer_to(&self, fingerprint: Fingerprint, claim: Claim) -> Option<Answer> {
        let call = Call::Lock { fingerprint, claim, min_sequence: 0 };
        let decision = decide(Some(&self.record), call, self.record.as_of);
        let acquired = matches!(decision.answer, Answer::Acquired(_));
        let stands = decision.change == Change::None && (!acquired || self.answered == Answered::Acquired);
        stands.then_some(decision.answer)
    }

    pub(crate) fn read(key: &Key, row: &Row) -> Result<Result<Self>, Failure> {
        let answer: i16 = row.get("answer")?;
        let columns = Columns::of(row);
        let completed = row.get::<Option<i64>>("completed_at")?.is_some();
        let (answered, content) = match (answer, completed) {
            // Only what is left of the lease is told.
            (2, false) => (Answered::InProgress, columns.fingerprint()?.map(Content::unread)),
            // Whatever else is answered from a record is answered only once its checksum was compared.
            (1, false) => (Answered::Acquired, columns.content(key, false)?),
            (3, true) => (Answered::Refused, columns.content(key, true)?),
            (4, completed) => (Answered::Refused, columns.content(key, completed)?),
            (1..=3, _) => return Ok(Err(damaged("the record's state does not go with its times"))),
            (other, _) => return Err(Failure::incompatible(format!("the server gives the answer {other}"))),
        };
        let (token, content) = match (columns.token()?, content) {
            (Ok(token), Ok(content)) => (token, content),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let (state, as_of) = if let Some(outcome) = content.outcome {
            let time = |name| columns.number(name).map(Timestamp::from_micros);
            let (completed_at, expires_at) = (time("completed_at")?, time("expires_at")?);
            (State::Completed(Completion { outcome, completed_at, expires_at }), completed_at)
        } else {
            // A row tells what is left of a lease, and not the time: it is counted from the answer.
            let as_of = Timestamp::default();
            let deadline = as_of + Duration::from_micros(columns.number("remaining")?);
            let (retention, checkpoint) = (Duration::MAX, content.checkpoint);
            (State::Locked(Locked { held: true, deadline, retention, checkpoint }), as_of)
        };
        let attempt = u32::try_from(columns.number("attempt")?).unwrap_or(u32::MAX);
        let record = Record { fingerprint: content.fingerprint, token, attempt, state, as_of };
        Ok(Ok(Self { record, answered }))
    }
}

#[cfg(test)]
mod tests {
    use idem_core::{Owner, Token};

    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    #[test]
    fn a_lock_that_is_sent_again_is_not_answered_from_what_another_caller_was_told() {
        let (found, [holder, other]) = in_progress(Answered::InProgress);
        assert!(found.answer_to(fingerprint(1), other).is_some());
        assert!(found.answer_to(fingerprint(1), holder).is_none());
        let (found, [holder, _]) = in_progress(Answered::Acquired);
        assert!(matches!(found.answer_to(fingerprint(1), holder), Some(Answer::Acquired(_))));
    }

    #[test]
    fn another_fingerprint_is_not_refused_before_the_checksum_was_compared() -> Result<()> {
        let key = Key::from_storage_key([0; Key::STORAGE_LEN]);
        let (found, [_, other]) = in_progress(Answered::InProgress);
        assert!(found.tells(&Lock::new(key, fingerprint(1), other)?));
        assert!(!found.tells(&Lock::new(key, fingerprint(2), other)?));
        let (found, _) = in_progress(Answered::Acquired);
        assert!(found.tells(&Lock::new(key, fingerprint(2), other)?));
        Ok(())
    }

    #[test]
    fn a_record_that_would_change_answers_nobody() {
        let (mut found, claims) = in_progress(Answered::Refused);
        found.record.as_of = found.record.as_of + LEASE;
        for claim in claims {
            assert!(found.answer(fingerprint(1), claim).is_err());
        }
    }

    /// A key that is locked, with the claims of its holder and of another caller.
    fn in_progress(answered: Answered) -> (Found, [Claim; 2]) {
        let claims = [1, 2].map(|owner| {
            let owner = Owner::from_bytes([owner; 16]);
            Claim { owner, lease: LEASE, retention: LEASE }
        });
        let as_of = Timestamp::default();
        let locked = Locked { held: true, deadline: as_of + LEASE, retention: LEASE, checkpoint: None };
        let token = Token { sequence: 1, owner: claims[0].owner };
        let state = State::Locked(locked);
        let record = Record { fingerprint: fingerprint(1), token, attempt: 1, state, as_of };
        (Found { record, answered }, claims)
    }

    fn fingerprint(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes([byte; 32])
    }
}
