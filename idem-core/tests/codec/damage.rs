//! Bytes that differ from what was written decode to an error or to the value that was written, and never panic.

use idem_core::backend::codec::{CHECKSUM_LEN, ChecksumScope, HEADER_LEN, decode, encode};
use idem_core::record::{Checkpoint, Record, State};
use idem_core::{ErrorKind, Fingerprint, Outcome};
use proptest::prelude::*;

use crate::support::{
    AS_OF, CHECKSUM_SCOPES, any_checksum_scope, any_record, key, locked, other_key, sealed, value,
};

#[test]
fn record_moved_to_another_key_is_corrupt() {
    for checksum_scope in CHECKSUM_SCOPES {
        let bytes = encode(&key(), &value(b"3 apples"), checksum_scope).unwrap();
        let error = decode(&other_key(), &bytes, checksum_scope, AS_OF).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn record_read_with_the_other_checksum_scope_is_corrupt() {
    for (written, read) in
        [(ChecksumScope::Whole, ChecksumScope::Body), (ChecksumScope::Body, ChecksumScope::Whole)]
    {
        let bytes = encode(&key(), &value(b"3 apples"), written).unwrap();
        assert_eq!(decode(&key(), &bytes, read, AS_OF).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// Version bits show as another version, all others as damage.
#[test]
fn any_flipped_bit_of_a_whole_record_is_an_error() {
    for record in [locked(true, Some(b"charged")), value(b"3 apples")] {
        let bytes = encode(&key(), &record, ChecksumScope::Whole).unwrap();
        for bit in 0..bytes.len() * 8 {
            let error = decode(&key(), &flipped(&bytes, bit), ChecksumScope::Whole, AS_OF).unwrap_err();
            let expected = if bit < 8 { ErrorKind::Incompatible } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), expected, "bit {bit}");
        }
    }
}

#[test]
fn any_flipped_bit_behind_the_header_is_corrupt_when_the_body_is_covered() {
    for record in [locked(true, Some(b"charged")), value(b"3 apples")] {
        let bytes = encode(&key(), &record, ChecksumScope::Body).unwrap();
        for bit in 54 * 8..bytes.len() * 8 {
            let error = decode(&key(), &flipped(&bytes, bit), ChecksumScope::Body, AS_OF).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}");
        }
    }
}

/// Scripts write such a header, so a flipped bit in it may go unnoticed, but it never changes the fingerprint, the
/// checkpoint or the outcome.
#[test]
fn flipped_header_bit_never_changes_fingerprint_or_body_when_the_body_is_covered() {
    for record in [locked(true, Some(b"charged")), value(b"3 apples")] {
        let bytes = encode(&key(), &record, ChecksumScope::Body).unwrap();
        for bit in 0..54 * 8 {
            if let Ok(read) = decode(&key(), &flipped(&bytes, bit), ChecksumScope::Body, AS_OF) {
                assert_eq!(covered(&read), covered(&record), "bit {bit}");
            }
        }
    }
}

#[test]
fn every_truncation_is_corrupt() {
    for checksum_scope in CHECKSUM_SCOPES {
        let bytes = encode(&key(), &value(b"3 apples"), checksum_scope).unwrap();
        for length in 0..bytes.len() {
            let error = decode(&key(), &bytes[..length], checksum_scope, AS_OF).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn mutated_record_is_an_error_or_the_value_as_it_was(
        record in any_record(),
        checksum_scope in any_checksum_scope(),
        mutations in prop::collection::vec(mutation(), 1..5),
    ) {
        let mut bytes = encode(&key(), &record, checksum_scope).unwrap();
        for mutation in mutations {
            mutation.apply(&mut bytes);
        }
        match (decode(&key(), &bytes, checksum_scope, AS_OF), checksum_scope) {
            (Ok(read), ChecksumScope::Whole) => prop_assert_eq!(read, record),
            (Ok(read), ChecksumScope::Body) => prop_assert_eq!(covered(&read), covered(&record)),
            (Err(error), _) => prop_assert!(is_damage(error.kind()), "{error}"),
        }
    }

    #[test]
    fn random_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), checksum_scope in any_checksum_scope()) {
        let error = decode(&key(), &bytes, checksum_scope, AS_OF).unwrap_err();
        prop_assert!(is_damage(error.kind()), "{error}");
    }

    /// A valid checksum does not make a body trusted: anyone who can write to the store can make one.
    #[test]
    fn random_body_under_a_right_checksum_is_an_error_or_a_value(
        header in prop::collection::vec(any::<u8>(), HEADER_LEN),
        state in 0..5_u8,
        body in hostile_body(),
        checksum_scope in any_checksum_scope(),
    ) {
        let header = [&[1, state], &header[2..]].concat();
        let bytes = sealed(&key(), &header, &body, checksum_scope);
        match decode(&key(), &bytes, checksum_scope, AS_OF) {
            Ok(read) => prop_assert!(read.outcome().map_or(0, Outcome::size) <= body.len()),
            Err(error) => prop_assert!(is_damage(error.kind()), "{error}"),
        }
    }
}

/// Bodies that begin as real ones do, with lengths of every form and size.
fn hostile_body() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![vec![], vec![0], vec![0, 1], vec![1], vec![2]]);
    let length = prop_oneof![
        any::<u8>().prop_map(|short| vec![short]),
        any::<u16>().prop_map(|length| [&[251][..], &length.to_le_bytes()].concat()),
        any::<u32>().prop_map(|length| [&[252][..], &length.to_le_bytes()].concat()),
        any::<u64>().prop_map(|length| [&[253][..], &length.to_le_bytes()].concat()),
        Just([&[253][..], &u64::MAX.to_le_bytes()].concat()),
        any::<u128>().prop_map(|length| [&[254][..], &length.to_le_bytes()].concat()),
    ];
    let rest = prop::collection::vec(any::<u8>(), 0..300);
    (start, length, rest).prop_map(|(start, length, rest)| [start, length, rest].concat())
}

#[derive(Debug, Clone)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Overwrite(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    Truncate(prop::sample::Index),
    Append(Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Overwrite(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::Delete),
        at().prop_map(Mutation::Truncate),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(Mutation::Append),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Self::Overwrite(at, byte) => *at.get_mut(bytes) = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Self::Delete(at) => {
                bytes.remove(at.index(bytes.len()));
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Self::Append(more) => bytes.extend(more),
        }
    }
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Incompatible)
}

/// What the checksum covers in either case.
fn covered(record: &Record) -> (Fingerprint, Option<&Outcome>, Option<&[u8]>) {
    let progress = match &record.state {
        State::Locked(locked) => locked.checkpoint.as_ref().map(|Checkpoint { progress, .. }| &progress[..]),
        State::Completed(_) => None,
    };
    (record.fingerprint, record.outcome(), progress)
}

#[test]
fn shortest_record_has_a_header_a_body_and_a_checksum() {
    let bytes = encode(&key(), &locked(true, None), ChecksumScope::Whole).unwrap();
    assert_eq!(bytes.len(), HEADER_LEN + 2 + CHECKSUM_LEN);
    let bare = sealed(&key(), &bytes[..HEADER_LEN], &[], ChecksumScope::Whole);
    assert_eq!(decode(&key(), &bare, ChecksumScope::Whole, AS_OF).unwrap_err().kind(), ErrorKind::Corrupt);
}
