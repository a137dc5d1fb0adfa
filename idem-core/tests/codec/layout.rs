//! The header's fields are at the documented offsets, where scripts read and write them.

use idem_core::backend::codec::{CHECKSUM_LEN, ChecksumScope, HEADER_LEN, VERSION, decode, encode};
use idem_core::clock::Timestamp;
use idem_core::record::State;
use idem_core::{ErrorKind, Outcome, UnavailableReason};

use crate::support::{
    AS_OF, CHECKSUM_SCOPES, DAY, DEADLINE, body, completed, key, locked, record, sealed, value,
};

#[test]
fn header_fields_stand_at_their_documented_places() {
    let expected = locked(true, Some(b"charged"));
    let bytes = encode(&key(), &expected, ChecksumScope::Body).unwrap();
    let day = u64::try_from(DAY.as_micros()).unwrap();
    assert_eq!(bytes[0], VERSION);
    assert_eq!(bytes[1], 1);
    assert_eq!(bytes[2..6], expected.attempt.to_be_bytes());
    assert_eq!(bytes[6..14], expected.token.sequence.to_be_bytes());
    assert_eq!(bytes[14..30], *expected.token.owner.as_bytes());
    assert_eq!(bytes[30..38], DEADLINE.as_micros().to_be_bytes());
    assert_eq!(bytes[38..46], day.to_be_bytes());
    assert_eq!(bytes[46..54], 0x4142_4344_4546_4748_u64.to_be_bytes());
    assert_eq!(bytes[54..86], *expected.fingerprint.as_bytes());
    assert_eq!(HEADER_LEN, 86);
}

#[test]
fn completed_header_holds_when_it_was_completed_and_when_it_expires() {
    let bytes = encode(&key(), &value(b"3 apples"), ChecksumScope::Body).unwrap();
    assert_eq!(bytes[1], 3);
    assert_eq!(bytes[30..38], DEADLINE.as_micros().to_be_bytes());
    assert_eq!(bytes[38..46], (DEADLINE + DAY).as_micros().to_be_bytes());
    assert_eq!(bytes[46..54], [0; 8]);
}

/// A script does this to a record whose checksum leaves out the header.
#[test]
fn header_rewritten_in_place_is_read_as_rewritten() {
    let mut bytes = encode(&key(), &locked(true, Some(b"charged")), ChecksumScope::Body).unwrap();
    bytes[1] = 2;
    bytes[30..38].copy_from_slice(&7_u64.to_be_bytes());
    let decoded = decode(&key(), &bytes, ChecksumScope::Body, AS_OF).unwrap();
    let State::Locked(locked) = decoded.state else { panic!("{decoded:?}") };
    assert!(!locked.held);
    assert_eq!(locked.deadline, Timestamp::from_micros(7));
}

#[test]
fn reason_of_a_newer_version_reads_as_other() {
    let record = completed(Outcome::Unavailable(UnavailableReason::Other));
    for checksum_scope in CHECKSUM_SCOPES {
        let encoded = encode(&key(), &record, checksum_scope).unwrap();
        let newer = sealed(&key(), &encoded[..HEADER_LEN], &[2, 200], checksum_scope);
        assert_eq!(decode(&key(), &newer, checksum_scope, AS_OF).unwrap(), record);
    }
}

#[test]
fn record_of_another_version_is_incompatible() {
    for version in [0, VERSION + 1, 255] {
        for checksum_scope in CHECKSUM_SCOPES {
            let encoded = encode(&key(), &locked(true, None), checksum_scope).unwrap();
            let mut header = encoded[..HEADER_LEN].to_vec();
            header[0] = version;
            let newer = sealed(&key(), &header, body(&encoded), checksum_scope);
            let error = decode(&key(), &newer, checksum_scope, AS_OF).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible);
        }
    }
}

#[test]
fn state_that_does_not_match_its_body_is_corrupt() {
    let value_body = [1, 0];
    let locked_body = [0, 0];
    for (state, body) in
        [(1, value_body), (2, value_body), (3, locked_body), (0, locked_body), (4, value_body)]
    {
        let mut header =
            encode(&key(), &locked(true, None), ChecksumScope::Body).unwrap()[..HEADER_LEN].to_vec();
        header[1] = state;
        let error =
            decode(&key(), &sealed(&key(), &header, &body, ChecksumScope::Body), ChecksumScope::Body, AS_OF)
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn bytes_after_the_body_are_corrupt() {
    for checksum_scope in CHECKSUM_SCOPES {
        let encoded = encode(&key(), &value(b"3 apples"), checksum_scope).unwrap();
        let longer = [body(&encoded), b"!"].concat();
        let sealed = sealed(&key(), &encoded[..HEADER_LEN], &longer, checksum_scope);
        assert_eq!(decode(&key(), &sealed, checksum_scope, AS_OF).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn length_of_an_encoding_is_the_sum_of_its_parts() {
    let value = vec![7; 70_000];
    let record = completed(Outcome::Value(value.clone().into()));
    let encoded = encode(&key(), &record, ChecksumScope::Whole).unwrap();
    assert_eq!(encoded.len(), HEADER_LEN + 1 + 5 + value.len() + CHECKSUM_LEN);
}

#[test]
fn read_time_is_the_one_given_and_is_not_stored() {
    let bytes = encode(&key(), &locked(true, None), ChecksumScope::Whole).unwrap();
    let later = Timestamp::from_micros(99);
    assert_eq!(decode(&key(), &bytes, ChecksumScope::Whole, later).unwrap().as_of, later);
    let mut same = record(locked(true, None).state);
    same.as_of = later;
    assert_eq!(encode(&key(), &same, ChecksumScope::Whole).unwrap(), bytes);
}
