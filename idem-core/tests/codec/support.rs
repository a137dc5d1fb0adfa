//! The key and the records of these tests.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::codec::{CHECKSUM_LEN, ChecksumScope, HEADER_LEN};
use idem_core::clock::Timestamp;
use idem_core::record::{Checkpoint, Completion, Locked, Record, State};
use idem_core::{Fingerprint, Key, Outcome, Owner, Scope, Token, UnavailableReason};
use proptest::prelude::*;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(crate) const CHECKSUM_SCOPES: [ChecksumScope; 2] = [ChecksumScope::Whole, ChecksumScope::Body];
pub(crate) const AS_OF: Timestamp = Timestamp::from_micros(77);
pub(crate) const REASONS: [UnavailableReason; 6] = [
    UnavailableReason::Other,
    UnavailableReason::TooLarge,
    UnavailableReason::Streamed,
    UnavailableReason::Upgraded,
    UnavailableReason::Panicked,
    UnavailableReason::NotEncodable,
];

pub(crate) fn key() -> Key {
    Key::new(&Scope::new("tenant-7").unwrap(), "order-1").unwrap()
}

pub(crate) fn other_key() -> Key {
    Key::new(&Scope::new("tenant-7").unwrap(), "order-2").unwrap()
}

/// Every byte of the header differs from its neighbours, so that a swap of two bytes shows.
pub(crate) fn record(state: State) -> Record {
    let mut fingerprint = [0; 32];
    let mut owner = [0; 16];
    fill(&mut fingerprint, 0x60);
    fill(&mut owner, 0x20);
    Record {
        fingerprint: Fingerprint::from_bytes(fingerprint),
        token: Token { sequence: 0x1112_1314_1516_1718, owner: Owner::from_bytes(owner) },
        attempt: 0x0102_0304,
        state,
        as_of: AS_OF,
    }
}

fn fill(bytes: &mut [u8], first: u8) {
    for (byte, value) in bytes.iter_mut().zip(first..) {
        *byte = value;
    }
}

pub(crate) const DEADLINE: Timestamp = Timestamp::from_micros(0x3132_3334_3536_3738);
pub(crate) const DAY: Duration = Duration::from_hours(24);

pub(crate) fn locked(held: bool, progress: Option<&'static [u8]>) -> Record {
    let checkpoint = progress
        .map(|progress| Checkpoint { step: 0x4142_4344_4546_4748, progress: Bytes::from_static(progress) });
    record(State::Locked(Locked { held, deadline: DEADLINE, retention: DAY, checkpoint }))
}

pub(crate) fn completed(outcome: Outcome) -> Record {
    let expires_at = DEADLINE + DAY;
    record(State::Completed(Completion { outcome, completed_at: DEADLINE, expires_at }))
}

pub(crate) fn value(bytes: &'static [u8]) -> Record {
    completed(Outcome::Value(Bytes::from_static(bytes)))
}

/// Any record that can be encoded: its times are whole microseconds.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let header = (any::<[u8; 32]>(), any::<u64>(), any::<[u8; 16]>(), any::<u32>());
    (header, any_state()).prop_map(|((fingerprint, sequence, owner, attempt), state)| Record {
        fingerprint: Fingerprint::from_bytes(fingerprint),
        token: Token { sequence, owner: Owner::from_bytes(owner) },
        attempt,
        state,
        as_of: AS_OF,
    })
}

fn any_state() -> impl Strategy<Value = State> {
    let locked = (any::<bool>(), any::<u64>(), any::<u64>(), prop::option::of((any::<u64>(), any_bytes())))
        .prop_map(|(held, deadline, retention, checkpoint)| {
            State::Locked(Locked {
                held,
                deadline: Timestamp::from_micros(deadline),
                retention: Duration::from_micros(retention),
                checkpoint: checkpoint.map(|(step, progress)| Checkpoint { step, progress }),
            })
        });
    let completed =
        (any_outcome(), any::<u64>(), any::<u64>()).prop_map(|(outcome, completed_at, expires_at)| {
            State::Completed(Completion {
                outcome,
                completed_at: Timestamp::from_micros(completed_at),
                expires_at: Timestamp::from_micros(expires_at),
            })
        });
    prop_oneof![locked, completed]
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any_bytes().prop_map(Outcome::Value),
        prop::sample::select(REASONS.to_vec()).prop_map(Outcome::Unavailable),
    ]
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..600).prop_map(Bytes::from)
}

pub(crate) fn any_checksum_scope() -> impl Strategy<Value = ChecksumScope> {
    prop::sample::select(CHECKSUM_SCOPES.to_vec())
}

/// The body of an encoded record.
pub(crate) fn body(encoded: &[u8]) -> &[u8] {
    &encoded[HEADER_LEN..encoded.len() - CHECKSUM_LEN]
}

/// A record with this header and body, and the checksum for them.
pub(crate) fn sealed(key: &Key, header: &[u8], body: &[u8], checksum_scope: ChecksumScope) -> Vec<u8> {
    let from = match checksum_scope {
        ChecksumScope::Whole => 0,
        ChecksumScope::Body => 54,
    };
    let record = [header, body].concat();
    let checksum = xxh3_64_with_seed(&record[from..], xxh3_64(key.storage_key()));
    [&record[..], &checksum.to_be_bytes()].concat()
}
