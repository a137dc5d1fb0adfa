//! The statements, each for many calls of one kind.

mod complete;
mod get;
mod lock;
mod release;
mod renew;
mod row;
mod wait;

use std::collections::HashMap;
use std::fmt::Debug;

use idem_core::error::Operation;
use idem_core::{Effect, Error, ErrorKind, Key, Lease, LostReason, Result, Token};

use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::{Parameter, Row};

pub(crate) use complete::Complete;
pub(crate) use get::Get;
pub(crate) use lock::{Found, Lock};
pub(crate) use release::Release;
pub(crate) use renew::Renew;
pub(crate) use row::{Columns, outcome_body};
pub(crate) use wait::Wait;

/// A key as it is stored.
pub(crate) type StorageKey = [u8; Key::STORAGE_LEN];

/// What a statement answers for each key.
pub(crate) type Answers<B> = HashMap<StorageKey, Result<<B as BatchedCall>::Answer>>;

/// A call of which many are sent as one statement.
pub(crate) trait BatchedCall: Debug + Sized + Send + Sync + 'static {
    type Answer: Debug + Send;

    /// Whether calls on one key that wait together go together: the first is sent, and its answer tells that of the others
    /// by [`follow`](BatchedCall::follow). Otherwise they are sent one after the other, in the order of the calls.
    const SHARED: bool = false;

    /// Whether an answer may follow a commit, which standbys must have.
    const WRITES: bool = true;

    /// Whether an answer may have an outcome in it.
    const ANSWERS_OUTCOMES: bool = false;

    fn key(&self) -> &Key;

    /// Its outcome or checkpoint, in bytes.
    fn size(&self) -> usize {
        0
    }

    /// The answer to this call, which the server would have given right after it gave `answer` to `first`, a call on the
    /// same key. None where only the server can tell.
    fn follow(&self, _first: &Self, _answer: &Result<Self::Answer>) -> Option<Result<Self::Answer>> {
        None
    }

    /// What `answer` tells the caller when an earlier sending of the same call may have been carried out.
    fn after_unknown(&self, answer: Self::Answer) -> Self::Answer {
        answer
    }

    fn statement(schema: &str) -> String;

    /// A statement for [`send_one`](BatchedCall::send_one). None where that of many is as good.
    fn statement_of_one(_schema: &str) -> Option<String> {
        None
    }

    /// A statement for calls some of which are known to wait for other transactions, which hold up each other only a little.
    /// None where each of them must have a statement of its own.
    fn statement_apart(_schema: &str) -> Option<String> {
        None
    }

    /// Sends `calls`, each on a key of its own. A key that is missing in the answer was not decided.
    fn send(
        connection: &Connection,
        statement: &str,
        calls: &[&Self],
    ) -> impl Future<Output = Result<Answers<Self>, Failure>> + Send;

    /// As [`send`](BatchedCall::send), one call by a statement without arrays, which takes the server less time.
    fn send_one(
        connection: &Connection,
        statement: &str,
        call: &Self,
    ) -> impl Future<Output = Result<Answers<Self>, Failure>> + Send {
        async move { Self::send(connection, statement, &[call]).await }
    }
}

pub(crate) fn key_of(row: &Row) -> Result<StorageKey, Failure> {
    let key: &[u8] = row.get("key")?;
    key.try_into()
        .map_err(|_| Failure::incompatible(format!("the server names a key of {} bytes", key.len())))
}

fn effect_of(row: &Row) -> Result<Result<Effect>, Failure> {
    let answer: i16 = row.get("answer")?;
    Ok(match answer {
        1 => Ok(Effect::Applied),
        2 => Ok(Effect::Lost(LostReason::Superseded)),
        3 => Ok(Effect::Lost(LostReason::Completed)),
        4 => Ok(Effect::Lost(LostReason::Released)),
        5 => Ok(Effect::Lost(LostReason::Gone)),
        6 => Err(damaged("the record's fingerprint is not what was locked")),
        other => return Err(Failure::incompatible(format!("the server gives the answer {other}"))),
    })
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, Operation::Get, message)
}

/// Microseconds, as the server counts them.
pub(crate) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// The server gives no higher ones than it can count.
pub(crate) fn stored_sequence(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn effects(rows: &[Row]) -> Result<HashMap<StorageKey, Result<Effect>>, Failure> {
    rows.iter().map(|row| Ok((key_of(row)?, effect_of(row)?))).collect()
}

/// The holders of keys, as columns.
struct Holders<'c>(Vec<(&'c Lease, Token)>);

impl<'c> Holders<'c> {
    fn of(leases: impl Iterator<Item = &'c Lease>) -> Self {
        Self(leases.map(|lease| (lease, lease.token())).collect())
    }

    fn parameters(&self) -> [Parameter<'_>; 4] {
        let Self(holders) = self;
        [
            Parameter::ManyBytes(holders.iter().map(|(lease, _)| &lease.key().storage_key()[..]).collect()),
            Parameter::ManyBytes(
                holders.iter().map(|(lease, _)| &lease.fingerprint().as_bytes()[..]).collect(),
            ),
            Parameter::Numbers(holders.iter().map(|(_, token)| stored_sequence(token.sequence)).collect()),
            Parameter::ManyBytes(holders.iter().map(|(_, token)| &token.owner.as_bytes()[..]).collect()),
        ]
    }
}
