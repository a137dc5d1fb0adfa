//! Records as Redis stores them: their bytes, and the times that follow from the key's expiry.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use idem_core::backend::Grant;
use idem_core::backend::codec::{self, ChecksumScope};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::record::{Checkpoint, Completion, Locked, Record, State};
use idem_core::scan::{Stage, Summary};
use idem_core::{Claim, Error, ErrorKind, Fingerprint, Key, Lease, Outcome, Result, Scope, Token};

/// How much longer a lease is on the server than the claim says, in milliseconds. The server's clock counts whole
/// milliseconds and rounds down, and no lease may end there before it ends for its holder.
const GRACE: u64 = 1;
const STATE_AT: usize = 1;
/// Length of the part of a record that the scripts read: the codec's header and the first two bytes of the body, of which
/// the second tells in a locked record whether there is a checkpoint.
const HEAD_LEN: usize = codec::HEAD_LEN;
/// Where the checkpoint's step is in a locked record.
pub(crate) const STEP_AT: usize = 46;
/// The state of a value that is left of a released or removed record. It is kept for some seconds for its token.
const FORGOTTEN: u8 = 4;
/// Flag in the state of a locked record: a waiter wants to be notified when the lease ends.
const WAITED: u8 = 0x80;

/// How many characters of a Redis key stand for the scope.
const SCOPE_LEN: usize = 22;

/// The Redis key of `key`: the prefix, then the storage key in base64, of which the first ones stand for the scope.
pub(crate) fn redis_key(prefix: &str, key: &Key) -> String {
    let (scope, rest) = key.storage_key().split_at(16);
    let mut text = String::with_capacity(prefix.len() + 65);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(scope, &mut text);
    URL_SAFE_NO_PAD.encode_string(rest, &mut text);
    text
}

/// The record of a key that nobody has locked before.
pub(crate) fn fresh(key: &Key, fingerprint: Fingerprint, claim: &Claim, sequence: u64) -> Result<Vec<u8>> {
    let token = Token { sequence, owner: claim.owner };
    locked(key, fingerprint, token, 1, claim.retention, None)
}

/// A locked record with a checkpoint. The script takes only the bytes from the step on; what precedes them stays as it is on
/// record.
pub(crate) fn with_checkpoint(
    key: &Key,
    fingerprint: Fingerprint,
    token: Token,
    checkpoint: Checkpoint,
) -> Result<Vec<u8>> {
    locked(key, fingerprint, token, 1, Duration::ZERO, Some(checkpoint))
}

/// The key of a record of this store. `None`: the Redis key is none of a record.
pub(crate) fn key_of(prefix: &str, redis_key: &[u8]) -> Option<Key> {
    let (scope, rest) = redis_key.strip_prefix(prefix.as_bytes())?.split_at_checked(SCOPE_LEN)?;
    let mut storage_key = [0; Key::STORAGE_LEN];
    let (scope_part, own_part) = storage_key.split_at_mut(Scope::PREFIX_LEN);
    for (text, part) in [(scope, scope_part), (rest, own_part)] {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        if decoded.len() != part.len() {
            return None;
        }
        part.copy_from_slice(&decoded);
    }
    Some(Key::from_storage_key(storage_key))
}

fn locked(
    key: &Key,
    fingerprint: Fingerprint,
    token: Token,
    attempt: u32,
    retention: Duration,
    checkpoint: Option<Checkpoint>,
) -> Result<Vec<u8>> {
    // The deadline follows from the key's expiry and is not stored.
    let locked = Locked { held: true, deadline: Timestamp::default(), retention, checkpoint };
    let state = State::Locked(locked);
    codec::encode(
        key,
        &Record { fingerprint, token, attempt, state, as_of: Timestamp::default() },
        ChecksumScope::Body,
    )
}

/// A completed record. Its times are approximate. The script corrects them, except on its fast path, which stores the record
/// as it is.
pub(crate) fn completed(
    key: &Key,
    fingerprint: Fingerprint,
    token: Token,
    attempt: u32,
    outcome: Outcome,
    completed_at: Timestamp,
    retention: Duration,
) -> Result<Vec<u8>> {
    let expires_at = completed_at + retention;
    let state = State::Completed(Completion { outcome, completed_at, expires_at });
    codec::encode(
        key,
        &Record { fingerprint, token, attempt, state, as_of: Timestamp::default() },
        ChecksumScope::Body,
    )
}

/// The record of `lease` as it was when it was locked.
pub(crate) fn as_locked(lease: &Lease) -> Result<Vec<u8>> {
    let (fingerprint, token) = (*lease.fingerprint(), lease.token());
    locked(lease.key(), fingerprint, token, lease.attempt(), lease.retention(), None)
}

/// The bytes that identify a holder's record: its token and its fingerprint, encoded as in the record.
pub(crate) fn holder_bytes(token: Token, fingerprint: &Fingerprint) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + 16 + 32);
    bytes.extend_from_slice(&token.sequence.to_be_bytes());
    bytes.extend_from_slice(token.owner.as_bytes());
    bytes.extend_from_slice(fingerprint.as_bytes());
    bytes.freeze()
}

/// The length of a lease as the server counts it.
pub(crate) fn lease_millis(lease: Duration) -> u64 {
    millis(lease).saturating_add(GRACE)
}

/// Rounded up, so that nothing ends before its time.
pub(crate) fn millis(duration: Duration) -> u64 {
    micros(duration).div_ceil(1_000)
}

/// Rounded up, so that nothing ends before its time.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// How much of the `left` milliseconds of its lease a holder may rely on.
pub(crate) fn lease_left(left: i64) -> Duration {
    Duration::from_millis(u64::try_from(left).unwrap_or(0).saturating_sub(GRACE))
}

/// Whether the value is kept only for the token of a record that is gone. See `scripts/parts/forget.lua`.
pub(crate) fn is_forgotten(bytes: &Bytes) -> bool {
    bytes.len() == HEAD_LEN
        && bytes.get(STATE_AT) == Some(&FORGOTTEN)
        && bytes.first() == Some(&codec::VERSION)
}

/// Decodes the value stored for `key`. Of the times of a locked record, the value has only the retention.
pub(crate) fn decode(key: &Key, bytes: &Bytes) -> Result<Record> {
    if bytes.get(STATE_AT).is_some_and(|state| state & WAITED != 0) {
        let mut unmarked = BytesMut::from(&bytes[..]);
        unmarked[STATE_AT] &= !WAITED;
        return codec::decode(key, &unmarked, ChecksumScope::Body, Timestamp::default());
    }
    codec::decode(key, bytes, ChecksumScope::Body, Timestamp::default())
}

/// Decodes the value stored for `key`, which expires `life` milliseconds after `now`.
pub(crate) fn decode_at(key: &Key, bytes: &Bytes, life: i64, now: Timestamp) -> Result<Record> {
    let Ok(life) = u64::try_from(life) else { return Err(no_expiry()) };
    let mut record = decode(key, bytes)?;
    record.as_of = now;
    if let State::Locked(locked) = &mut record.state {
        locked.deadline = deadline(now, life, locked.retention);
    }
    Ok(record)
}

/// A summary of a record of which the first bytes are at hand, and which expires `life` milliseconds after `now`.
pub(crate) fn summarize_at(head: &[u8], life: i64, now: Timestamp) -> Result<Summary> {
    let Ok(life) = u64::try_from(life) else { return Err(no_expiry()) };
    let mut head = head.to_vec();
    if let Some(state) = head.get_mut(STATE_AT) {
        *state &= !WAITED;
    }
    let mut summary = codec::summarize_head(&head)?;
    if let Stage::Unfinished { lease_until, .. } = &mut summary.stage {
        // As stored: the deadline is no time, and the expiry is the retention behind it.
        let retention = summary.expires_at.since(*lease_until);
        *lease_until = deadline(now, life, retention);
        summary.expires_at = *lease_until + retention;
    }
    Ok(summary)
}

/// When the lease of a locked record is over, which expires `life` milliseconds after `now`.
fn deadline(now: Timestamp, life: u64, retention: Duration) -> Timestamp {
    // The server's `PTTL` counts from its time in whole milliseconds, rounded down.
    let now = Timestamp::from_micros(now.as_micros() / 1_000 * 1_000);
    let retention = millis(retention);
    if life >= retention {
        now + Duration::from_millis(life - retention)
    } else {
        now - Duration::from_millis(retention - life)
    }
}

fn no_expiry() -> Error {
    Error::new(ErrorKind::Corrupt, Operation::Get, "the record has no expiry")
}

/// The grant of a record to the owner who holds it.
pub(crate) fn grant(record: &Record, valid_for: Duration) -> Grant {
    let checkpoint = record.checkpoint().cloned();
    Grant { token: record.token, attempt: record.attempt, checkpoint, valid_for }
}
