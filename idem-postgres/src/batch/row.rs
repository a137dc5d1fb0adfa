//! A record as columns.

use std::time::Duration;

use idem_core::backend::codec::{self, CHECKSUM_LEN, ChecksumScope, HEADER_LEN};
use idem_core::clock::Timestamp;
use idem_core::record::{Checkpoint, Completion, Locked, Record, State};
use idem_core::{Fingerprint, Key, Outcome, Owner, Result, Token};

use super::damaged;
use crate::error::Failure;
use crate::sql::Row;

/// The body of a record that is locked, without a checkpoint.
pub(crate) fn locked_body(key: &Key, fingerprint: Fingerprint) -> Result<Vec<u8>> {
    body(key, fingerprint, locked(true, Timestamp::default(), Duration::ZERO, None))
}

/// The body of a record that is locked, with a checkpoint.
pub(crate) fn checkpoint_body(
    key: &Key,
    fingerprint: Fingerprint,
    checkpoint: Checkpoint,
) -> Result<Vec<u8>> {
    body(key, fingerprint, locked(true, Timestamp::default(), Duration::ZERO, Some(checkpoint)))
}

/// The body of a completed record.
pub(crate) fn outcome_body(key: &Key, fingerprint: Fingerprint, outcome: Outcome) -> Result<Vec<u8>> {
    let at = Timestamp::default();
    body(key, fingerprint, State::Completed(Completion { outcome, completed_at: at, expires_at: at }))
}

fn locked(held: bool, deadline: Timestamp, retention: Duration, checkpoint: Option<Checkpoint>) -> State {
    State::Locked(Locked { held, deadline, retention, checkpoint })
}

/// What follows the header in the record's encoding: it is the columns that hold the header here.
fn body(key: &Key, fingerprint: Fingerprint, state: State) -> Result<Vec<u8>> {
    let token = Token { sequence: 0, owner: Owner::from_bytes([0; 16]) };
    let record = Record { fingerprint, token, attempt: 1, state, as_of: Timestamp::default() };
    let mut bytes = codec::encode(key, &record, ChecksumScope::Body)?;
    bytes.drain(..HEADER_LEN);
    Ok(bytes)
}

/// The number whose order among the server's signed numbers is that of the step.
pub(crate) fn stored_step(step: u64) -> i64 {
    (step ^ (1 << 63)).cast_signed()
}

fn step_of(stored: i64) -> u64 {
    stored.cast_unsigned() ^ (1 << 63)
}

/// The columns of one record.
pub(crate) struct Columns<'r> {
    row: &'r Row,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row) -> Self {
        Self { row }
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, Failure> {
        let number: Option<i64> = self.row.get(name)?;
        // Null counts as 0, and so does what is left of a lease that is over, which is negative.
        Ok(u64::try_from(number.unwrap_or(0)).unwrap_or(0))
    }

    pub(crate) fn token(&self) -> Result<Result<Token>, Failure> {
        let owner: &[u8] = self.row.get("owner")?;
        let sequence = self.number("sequence")?;
        Ok(owner
            .try_into()
            .map(|owner| Token { sequence, owner: Owner::from_bytes(owner) })
            .map_err(|_| damaged("the record's owner has another length")))
    }

    pub(crate) fn fingerprint(&self) -> Result<Result<Fingerprint>, Failure> {
        let fingerprint: &[u8] = self.row.get("fingerprint")?;
        Ok(fingerprint
            .try_into()
            .map(Fingerprint::from_bytes)
            .map_err(|_| damaged("the record's fingerprint has another length")))
    }

    /// The step of the checkpoint; 0 without one.
    pub(crate) fn step(&self) -> Result<u64, Failure> {
        let step: Option<i64> = self.row.get("step")?;
        Ok(step.map_or(0, step_of))
    }

    /// The checkpoint or the outcome, once its checksum was compared.
    pub(crate) fn content(&self, key: &Key, completed: bool) -> Result<Result<Content>, Failure> {
        let body: &[u8] = self.row.get("body")?;
        let step = self.step()?;
        Ok(self.fingerprint()?.and_then(|fingerprint| decode(key, fingerprint, body, step, completed)))
    }
}

pub(crate) struct Content {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Of a completed record.
    pub(crate) outcome: Option<Outcome>,
}

impl Content {
    /// Of a record of which nothing else was looked at.
    pub(crate) fn unread(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, checkpoint: None, outcome: None }
    }
}

fn decode(key: &Key, fingerprint: Fingerprint, body: &[u8], step: u64, completed: bool) -> Result<Content> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len().max(CHECKSUM_LEN));
    bytes.extend_from_slice(&[codec::VERSION, if completed { 3 } else { 1 }]);
    bytes.resize(46, 0);
    bytes.extend_from_slice(&step.to_be_bytes());
    bytes.extend_from_slice(fingerprint.as_bytes());
    bytes.extend_from_slice(body);
    let record = codec::decode(key, &bytes, ChecksumScope::Body, Timestamp::default())?;
    let (checkpoint, outcome) = match record.state {
        State::Locked(locked) => (locked.checkpoint, None),
        State::Completed(completion) => (None, Some(completion.outcome)),
    };
    Ok(Content { fingerprint: record.fingerprint, checkpoint, outcome })
}

/// The record of a row of `get`.
pub(crate) fn record(key: &Key, row: &Row) -> Result<Result<Record>, Failure> {
    let columns = Columns::of(row);
    let state: i16 = row.get("state")?;
    let (token, content) = match (columns.token()?, columns.content(key, state == 3)?) {
        (Ok(token), Ok(content)) => (token, content),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let time = |name| columns.number(name).map(Timestamp::from_micros);
    let state = if let Some(outcome) = content.outcome {
        let (completed_at, expires_at) = (time("completed_at")?, time("expires_at")?);
        State::Completed(Completion { outcome, completed_at, expires_at })
    } else {
        let retention = Duration::from_micros(columns.number("retention")?);
        locked(state == 1, time("lease_until")?, retention, content.checkpoint)
    };
    let attempt = u32::try_from(columns.number("attempt")?).unwrap_or(u32::MAX);
    Ok(Ok(Record { fingerprint: content.fingerprint, token, attempt, state, as_of: time("now")? }))
}
