//! The replacement for bincode, which is unmaintained: wincode with varint integers reads and writes the same bodies.

use bytes::Bytes;
use idem_core::backend::codec::{ChecksumScope, HEADER_LEN, decode, encode};
use idem_core::record::{Record, State};
use idem_core::{Outcome, UnavailableReason};
use proptest::prelude::*;
use wincode::config::Configuration;
use wincode::{SchemaRead, SchemaWrite};

use crate::support::{AS_OF, REASONS, any_checksum_scope, any_record, body, completed, key, sealed};

/// A copy of the private `Body` of `codec`.
#[derive(SchemaWrite, SchemaRead, Debug, PartialEq)]
enum Body<'a> {
    Locked { progress: Option<&'a [u8]> },
    Value(&'a [u8]),
    Unavailable(u8),
}

proptest! {
    #[test]
    fn wincode_writes_the_same_body(record in any_record(), checksum_scope in any_checksum_scope()) {
        let encoded = encode(&key(), &record, checksum_scope).unwrap();
        prop_assert_eq!(written(&mirror(&record)), body(&encoded));
    }

    #[test]
    fn wincode_reads_the_same_body(record in any_record(), checksum_scope in any_checksum_scope()) {
        let encoded = encode(&key(), &record, checksum_scope).unwrap();
        let config = Configuration::default().with_varint_encoding();
        let read: Body<'_> = wincode::config::deserialize_exact(body(&encoded), config).unwrap();
        prop_assert_eq!(read, mirror(&record));
    }

    #[test]
    fn body_written_by_wincode_is_read_as_it_was_written(record in any_record(), checksum_scope in any_checksum_scope()) {
        let header = encode(&key(), &record, checksum_scope).unwrap()[..HEADER_LEN].to_vec();
        let bytes = sealed(&key(), &header, &written(&mirror(&record)), checksum_scope);
        prop_assert_eq!(decode(&key(), &bytes, checksum_scope, AS_OF).unwrap(), record);
    }
}

#[test]
fn lengths_of_every_form_are_the_same_bytes() {
    for length in [0, 1, 250, 251, 252, 65_535, 65_536, 1_000_000] {
        let record = completed(Outcome::Value(Bytes::from(vec![0x5A; length])));
        let encoded = encode(&key(), &record, ChecksumScope::Whole).unwrap();
        assert!(written(&mirror(&record)) == body(&encoded), "{length} bytes");
    }
}

fn written(body: &Body<'_>) -> Vec<u8> {
    wincode::config::serialize(body, Configuration::default().with_varint_encoding()).unwrap()
}

fn mirror(record: &Record) -> Body<'_> {
    match &record.state {
        State::Locked(locked) => {
            Body::Locked { progress: locked.checkpoint.as_ref().map(|checkpoint| &checkpoint.progress[..]) }
        }
        State::Completed(completed) => match &completed.outcome {
            Outcome::Value(value) => Body::Value(value),
            Outcome::Unavailable(reason) => Body::Unavailable(code(*reason)),
        },
    }
}

fn code(reason: UnavailableReason) -> u8 {
    let position = REASONS.iter().position(|known| *known == reason).unwrap();
    u8::try_from(position).unwrap()
}
