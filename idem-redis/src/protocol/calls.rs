//! The request that each call sends, and the meaning of its answer.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::{Answer, Call};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::record::{Record, State};
use idem_core::{Claim, Effect, Error, ErrorKind, Fingerprint, Key, Lease, LostReason, Result};

use crate::protocol::command::{Command, Part, Payload, Request};
use crate::protocol::records::{self, lease_left, lease_millis, micros, millis};
use crate::protocol::reply::{Reply, ScriptReply};
use crate::protocol::script::{self, Script};

/// `SET NX GET`: all that `lock` needs for a fresh key and for a completed one.
pub(crate) fn set_if_absent(redis_key: &Bytes, record: Bytes, claim: &Claim) -> Request {
    let (key, life) = (Part::Bytes(redis_key.clone()), Part::Number(life(claim)));
    let parts = ["SET".into(), key, record.into(), "NX".into(), "GET".into(), "PX".into(), life];
    Request { key: redis_key.clone(), payload: Payload::Command(Command::new(parts)) }
}

/// `lock` by script: for a key that is on record, and where the plain command was refused.
pub(crate) fn lock(
    redis_key: &Bytes,
    fingerprint: &Fingerprint,
    claim: &Claim,
    record: Bytes,
    least_sequence: u64,
    confirm: bool,
) -> Request {
    let arguments = vec![
        bytes(fingerprint.as_bytes()),
        bytes(claim.owner.as_bytes()),
        lease_millis(claim.lease).into(),
        bytes(&micros(claim.retention).to_be_bytes()),
        life(claim).into(),
        least_sequence.into(),
        record.into(),
        flag(confirm),
    ];
    script(&script::LOCK, redis_key, arguments)
}

/// The time to live of a record that `claim` locks, in milliseconds.
fn life(claim: &Claim) -> u64 {
    lease_millis(claim.lease) + millis(claim.retention)
}

/// A holder's call. `now`: the server's time, where it is known. `remembered`: how long the token of a released record is
/// kept.
///
/// # Errors
/// Those of the codec.
pub(crate) fn of_holder(
    redis_key: &Bytes,
    lease: &Lease,
    call: &Call,
    now: Option<Timestamp>,
    remembered: Duration,
) -> Result<Request> {
    let (key, fingerprint, token) = (lease.key(), *lease.fingerprint(), lease.token());
    let own = Part::Bytes(records::holder_bytes(token, &fingerprint));
    Ok(match call {
        Call::Renew { duration, .. } => {
            script(&script::RENEW, redis_key, vec![own, lease_millis(*duration).into()])
        }
        Call::Checkpoint { checkpoint, duration, .. } => {
            let record = records::with_checkpoint(key, fingerprint, token, checkpoint.clone())?;
            let record = Bytes::from(record);
            let arguments =
                vec![own, lease_millis(*duration).into(), record.slice(records::STEP_AT..).into()];
            script(&script::CHECKPOINT, redis_key, arguments)
        }
        Call::Complete { outcome, retention, .. } => {
            let completed_at = now.unwrap_or_default();
            let record = records::completed(
                key,
                fingerprint,
                token,
                lease.attempt(),
                outcome.clone(),
                completed_at,
                *retention,
            )?;
            let record = Bytes::from(record);
            let most_left = now.map_or(0, |_| millis(lease.retention()).saturating_add(millis(*retention)));
            let arguments = vec![
                Bytes::from(records::as_locked(lease)?).into(),
                record.into(),
                millis(*retention).into(),
                most_left.into(),
                micros(*retention).into(),
            ];
            script(&script::COMPLETE, redis_key, arguments)
        }
        Call::Release { .. } => script(&script::RELEASE, redis_key, vec![own, millis(remembered).into()]),
        Call::Lock { .. } | Call::Remove { .. } => {
            return Err(Error::new(ErrorKind::InvalidArgument, call.operation(), "not a holder's call"));
        }
    })
}

pub(crate) fn remove(redis_key: &Bytes, force: bool, remembered: Duration) -> Request {
    script(&script::REMOVE, redis_key, vec![flag(force), millis(remembered).into()])
}

pub(crate) fn delete(redis_key: &Bytes) -> Request {
    let payload = Payload::Command(Command::new(["DEL".into(), redis_key.clone().into()]));
    Request { key: redis_key.clone(), payload }
}

pub(crate) fn get(redis_key: &Bytes) -> Request {
    script(&script::GET, redis_key, Vec::new())
}

/// Reads the lease, and asks its holder to send a notification when the lease ends.
pub(crate) fn wait(redis_key: &Bytes) -> Request {
    script(&script::WAIT, redis_key, Vec::new())
}

/// Reads the answer to `lock` by script. `None`: the record on the server cannot be read.
pub(crate) fn read_lock(
    key: &Key,
    reply: &ScriptReply<'_>,
    fresh: impl FnOnce() -> Answer,
) -> Result<Option<Answer>> {
    Ok(Some(match reply.word {
        b"fresh" => fresh(),
        b"mismatch" => Answer::FingerprintMismatch,
        b"held" => Answer::InProgress(lease_left(reply.number(0).unwrap_or(0)).max(Duration::from_millis(1))),
        b"acquired" => {
            let (Some(left), Some(bytes)) = (reply.number(0), reply.bytes(1)) else {
                return Err(unexpected(Operation::Lock));
            };
            Answer::Acquired(records::grant(&records::decode(key, bytes)?, lease_left(left)))
        }
        b"completed" => {
            let record = records::decode(key, reply.bytes(0).ok_or_else(|| unexpected(Operation::Lock))?)?;
            completed(record).ok_or_else(|| unexpected(Operation::Lock))?
        }
        b"damaged" => return Ok(None),
        _ => return Err(unexpected(Operation::Lock)),
    }))
}

/// The answer of a completed record to `lock`. `None` when `record` is not completed.
pub(crate) fn completed(record: Record) -> Option<Answer> {
    let State::Completed(completed) = record.state else { return None };
    Some(Answer::Completed(idem_core::record::Replay {
        outcome: completed.outcome,
        completed_at: completed.completed_at,
        expires_at: completed.expires_at,
        token: record.token,
    }))
}

/// Reads the answer to a holder's call, and whether it changed the record. `None`: the record on the server cannot be read.
///
/// `unsure`: an earlier attempt of the same call may have been carried out.
pub(crate) fn read_holder(
    lease: &Lease,
    operation: Operation,
    word: &[u8],
    unsure: bool,
) -> Result<Option<(Effect, bool)>> {
    let released_before = unsure && operation == Operation::Release;
    Ok(Some(match word {
        b"applied" => (Effect::Applied, true),
        b"kept" => (Effect::Applied, false),
        b"gone" | b"released" if released_before => (Effect::Applied, true),
        // Within the lease another owner can have taken over only after that release.
        b"superseded" if released_before && !lease.remaining().is_zero() => (Effect::Applied, true),
        b"gone" => (Effect::Lost(LostReason::Gone), false),
        b"superseded" => (Effect::Lost(LostReason::Superseded), false),
        b"completed" => (Effect::Lost(LostReason::Completed), false),
        b"released" => (Effect::Lost(LostReason::Released), false),
        b"damaged" => return Ok(None),
        _ => return Err(unexpected(operation)),
    }))
}

/// Reads the answer to `get`.
pub(crate) fn read_get(key: &Key, reply: &Reply) -> Result<Option<Record>> {
    let Some([value, Reply::Integer(life), time]) = reply.array() else {
        return Err(unexpected(Operation::Get));
    };
    let Some(bytes) = value.bytes().filter(|bytes| !records::is_forgotten(bytes)) else { return Ok(None) };
    let now = time.time_micros().ok_or_else(|| unexpected(Operation::Get))?;
    records::decode_at(key, bytes, *life, Timestamp::from_micros(now)).map(Some)
}

/// Whether a script's answer reports a write, which replicas must hold before the caller gets the answer.
pub(crate) fn is_change(reply: &Reply) -> bool {
    matches!(ScriptReply::of(reply).word, b"fresh" | b"acquired" | b"applied" | b"kept")
}

/// The error for an answer that makes no sense. What the server did is unknown; only a query certainly changed nothing.
pub(crate) fn unexpected(operation: Operation) -> Error {
    let kind = if operation == Operation::Get { ErrorKind::Unavailable } else { ErrorKind::Timeout };
    Error::new(kind, operation, "redis: the server's answer makes no sense")
}

fn script(script: &'static LazyLock<Script>, redis_key: &Bytes, arguments: Vec<Part>) -> Request {
    Request { key: redis_key.clone(), payload: Payload::Script(script, arguments) }
}

fn bytes(bytes: &[u8]) -> Part {
    Part::Bytes(Bytes::copy_from_slice(bytes))
}

fn flag(set: bool) -> Part {
    Part::Text(if set { "1" } else { "0" })
}
