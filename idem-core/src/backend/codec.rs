//! The bytes of a record in a store.
//!
//! ```text
//! offset  size  field
//!      0     1  version, 1
//!      1     1  state: 1 locked, 2 released with a checkpoint, 3 completed
//!      2     4  attempt
//!      6     8  token sequence
//!     14    16  token owner
//!     30     8  locked: lease deadline; completed: when completed (microseconds since 1970, store time)
//!     38     8  locked: retention in microseconds; completed: when it expires
//!     46     8  checkpoint step, 0 without a checkpoint
//!     54    32  fingerprint
//!     86     n  body: bincode 2, standard configuration
//!  86 + n     8  checksum: XXH3-64 of what is covered, seeded with the XXH3-64 of the storage key
//! ```
//!
//! Numbers of the header are big-endian at fixed places, so that a Redis script can read and write them.
//! The checksum covers the storage key, the fingerprint and the body, so that a record that was moved or
//! altered is [`Corrupt`](crate::ErrorKind::Corrupt); where header and body are always written together
//! ([`ChecksumScope::Whole`]) it covers the header too. `docs/adr/0002-bincode-pinned.md` says what is promised.

use std::time::Duration;

use bincode::{BorrowDecode, Encode};
use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::clock::{Timestamp, micros};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::identity::{Fingerprint, Key, Owner, Token};
use crate::record::{Checkpoint, Completion, Locked, Outcome, Record, State, UnavailableReason};

mod summary;

pub use summary::{HEAD_LEN, summarize, summarize_head};

/// The format version that this code writes, and the only one that it reads.
pub const VERSION: u8 = 1;
/// Length of what comes before the body.
pub const HEADER_LEN: usize = 86;
/// Length of what comes after the body.
pub const CHECKSUM_LEN: usize = 8;

const FINGERPRINT_AT: usize = 54;

/// How much of a record its checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumScope {
    /// Storage key, header, fingerprint and body: for stores that write a record as one piece.
    Whole,
    /// Storage key, fingerprint and body: for stores whose scripts rewrite the header in place.
    Body,
}

/// The checksum of `bytes` that are kept under `key`: the one that records have, for what a store keeps beside them.
#[must_use]
pub fn checksum(key: &Key, bytes: &[u8]) -> u64 {
    // The storage key goes in as the seed: this is one pass over contiguous bytes, and a streaming hasher takes twice
    // as long.
    xxh3_64_with_seed(bytes, xxh3_64(key.storage_key()))
}

/// The variable part of a record. Borrowed, so that bytes are copied once and a hostile length allocates
/// nothing.
#[derive(Encode, BorrowDecode, Debug, PartialEq)]
enum Body<'a> {
    Locked { progress: Option<&'a [u8]> },
    Value(&'a [u8]),
    Unavailable(u8),
}

/// Encodes `record` as it is kept for `key`.
///
/// # Errors
/// [`ErrorKind::TooLarge`] when its length cannot be encoded. No record that fits in memory is that large.
pub fn encode(key: &Key, record: &Record, checksum_scope: ChecksumScope) -> Result<Vec<u8>> {
    let (state, first, second, step, body) = parts(record);
    let mut bytes = Vec::with_capacity(HEADER_LEN + body_bound(&body) + CHECKSUM_LEN);
    bytes.extend_from_slice(&[VERSION, state]);
    bytes.extend_from_slice(&record.attempt.to_be_bytes());
    bytes.extend_from_slice(&record.token.sequence.to_be_bytes());
    bytes.extend_from_slice(record.token.owner.as_bytes());
    bytes.extend_from_slice(&first.to_be_bytes());
    bytes.extend_from_slice(&second.to_be_bytes());
    bytes.extend_from_slice(&step.to_be_bytes());
    bytes.extend_from_slice(record.fingerprint.as_bytes());
    bincode::encode_into_std_write(&body, &mut bytes, bincode::config::standard()).map_err(|source| {
        Error::new(ErrorKind::TooLarge, Operation::Complete, "the record cannot be encoded")
            .with_source(source)
    })?;
    let checksum = checksum(key, covered_part(&bytes, checksum_scope));
    bytes.extend_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

/// Decodes what is kept for `key`, read at store time `as_of`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for bytes that [`encode`] did not write for this key, [`ErrorKind::Incompatible`]
/// for a newer version. Never panics, and never allocates more than the bytes that it is given.
pub fn decode(key: &Key, bytes: &[u8], checksum_scope: ChecksumScope, as_of: Timestamp) -> Result<Record> {
    let (header, body) = split(key, bytes, checksum_scope)?;
    let state = match (header.state, read_body(body)?) {
        (1 | 2, Body::Locked { progress }) => State::Locked(Locked {
            held: header.state == 1,
            deadline: Timestamp::from_micros(header.first),
            retention: Duration::from_micros(header.second),
            checkpoint: progress
                .map(|progress| Checkpoint { step: header.step, progress: Bytes::copy_from_slice(progress) }),
        }),
        (3, Body::Value(value)) => completed(&header, Outcome::Value(Bytes::copy_from_slice(value))),
        (3, Body::Unavailable(code)) => completed(&header, Outcome::Unavailable(reason_of(code))),
        (state, _) => return Err(corrupt(format!("state {state} does not go with its body"))),
    };
    let token = header.token();
    Ok(Record { fingerprint: header.fingerprint, token, attempt: header.attempt, state, as_of })
}

fn completed(header: &Header, outcome: Outcome) -> State {
    State::Completed(Completion {
        outcome,
        completed_at: Timestamp::from_micros(header.first),
        expires_at: Timestamp::from_micros(header.second),
    })
}

fn parts(record: &Record) -> (u8, u64, u64, u64, Body<'_>) {
    match &record.state {
        State::Locked(locked) => {
            let state = if locked.held { 1 } else { 2 };
            let (step, progress) = match &locked.checkpoint {
                Some(checkpoint) => (checkpoint.step, Some(&checkpoint.progress[..])),
                None => (0, None),
            };
            (state, locked.deadline.as_micros(), micros(locked.retention), step, Body::Locked { progress })
        }
        State::Completed(completed) => {
            let body = match &completed.outcome {
                Outcome::Value(value) => Body::Value(value),
                Outcome::Unavailable(reason) => Body::Unavailable(code_of(*reason)),
            };
            (3, completed.completed_at.as_micros(), completed.expires_at.as_micros(), 0, body)
        }
    }
}

fn body_bound(body: &Body<'_>) -> usize {
    // Variant and length take at most 1 + 1 + 9 bytes.
    11 + match body {
        Body::Locked { progress } => progress.map_or(0, <[u8]>::len),
        Body::Value(value) => value.len(),
        Body::Unavailable(_) => 1,
    }
}

struct Header {
    state: u8,
    attempt: u32,
    sequence: u64,
    owner: Owner,
    first: u64,
    second: u64,
    step: u64,
    fingerprint: Fingerprint,
}

impl Header {
    fn token(&self) -> Token {
        Token { sequence: self.sequence, owner: self.owner }
    }
}

/// Checks version, length and checksum, and takes the header apart.
fn split<'a>(key: &Key, bytes: &'a [u8], checksum_scope: ChecksumScope) -> Result<(Header, &'a [u8])> {
    check_version(bytes)?;
    if bytes.len() < HEADER_LEN + CHECKSUM_LEN {
        return Err(too_short(bytes));
    }
    let (covered, stored) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
    if stored != checksum(key, covered_part(covered, checksum_scope)).to_be_bytes() {
        return Err(corrupt("the checksum does not match".to_owned()));
    }
    header_of(covered)
}

fn check_version(bytes: &[u8]) -> Result<()> {
    match bytes.first() {
        None => Err(corrupt("the record is empty".to_owned())),
        Some(&VERSION) => Ok(()),
        // Zero was never written. A flipped bit in the version reads as a newer version, which is refused just as
        // safely.
        Some(&version) => {
            let message = format!("the record has version {version}, this code reads {VERSION}");
            Err(Error::new(ErrorKind::Incompatible, Operation::Get, message))
        }
    }
}

fn too_short(bytes: &[u8]) -> Error {
    corrupt(format!("the record has {} bytes, too few for a header", bytes.len()))
}

/// Takes the header apart; returns what follows it.
fn header_of(bytes: &[u8]) -> Result<(Header, &[u8])> {
    check_version(bytes)?;
    if bytes.len() < HEADER_LEN {
        return Err(too_short(bytes));
    }
    let header = Header {
        state: bytes[1],
        attempt: u32::from_be_bytes(take(bytes, 2)),
        sequence: u64::from_be_bytes(take(bytes, 6)),
        owner: Owner::from_bytes(take(bytes, 14)),
        first: u64::from_be_bytes(take(bytes, 30)),
        second: u64::from_be_bytes(take(bytes, 38)),
        step: u64::from_be_bytes(take(bytes, 46)),
        fingerprint: Fingerprint::from_bytes(take(bytes, FINGERPRINT_AT)),
    };
    Ok((header, &bytes[HEADER_LEN..]))
}

/// `N` bytes at `at`; the caller has checked the length.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[at..at + N]);
    taken
}

fn read_body(bytes: &[u8]) -> Result<Body<'_>> {
    let (body, read) =
        bincode::borrow_decode_from_slice::<Body<'_>, _>(bytes, bincode::config::standard())
            .map_err(|source| corrupt("the body cannot be decoded".to_owned()).with_source(source))?;
    if read != bytes.len() {
        return Err(corrupt(format!("{} bytes follow the body", bytes.len() - read)));
    }
    Ok(body)
}

fn covered_part(record: &[u8], checksum_scope: ChecksumScope) -> &[u8] {
    match checksum_scope {
        ChecksumScope::Whole => record,
        ChecksumScope::Body => &record[FINGERPRINT_AT..],
    }
}

fn code_of(reason: UnavailableReason) -> u8 {
    match reason {
        UnavailableReason::Other => 0,
        UnavailableReason::TooLarge => 1,
        UnavailableReason::Streamed => 2,
        UnavailableReason::Upgraded => 3,
        UnavailableReason::Panicked => 4,
        UnavailableReason::NotEncodable => 5,
    }
}

fn reason_of(code: u8) -> UnavailableReason {
    match code {
        1 => UnavailableReason::TooLarge,
        2 => UnavailableReason::Streamed,
        3 => UnavailableReason::Upgraded,
        4 => UnavailableReason::Panicked,
        5 => UnavailableReason::NotEncodable,
        _ => UnavailableReason::Other,
    }
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, Operation::Get, message)
}
