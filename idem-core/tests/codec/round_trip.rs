//! Every record is read as it was written.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::codec::{decode, encode};
use idem_core::backend::{Call, Change, decide};
use idem_core::{Claim, Fingerprint, Outcome, Owner};
use proptest::prelude::*;

use crate::support::{AS_OF, CHECKSUM_SCOPES, any_checksum_scope, any_record, completed, key};

proptest! {
    #[test]
    fn every_record_is_read_as_it_was_written(record in any_record(), checksum_scope in any_checksum_scope()) {
        let bytes = encode(&key(), &record, checksum_scope).unwrap();
        prop_assert_eq!(decode(&key(), &bytes, checksum_scope, AS_OF).unwrap(), record);
    }

    #[test]
    fn encoding_is_a_function_of_the_record(record in any_record(), checksum_scope in any_checksum_scope()) {
        prop_assert_eq!(
            encode(&key(), &record, checksum_scope).unwrap(),
            encode(&key(), &record.clone(), checksum_scope).unwrap()
        );
    }
}

proptest! {
    /// Callers may ask for fractions of a microsecond: a store that encodes its records keeps the same times as one
    /// that does not.
    #[test]
    fn every_record_that_is_decided_is_read_as_it_was_decided(
        lease in 1..u64::MAX,
        retention in 1..u64::MAX,
        checksum_scope in any_checksum_scope(),
    ) {
        let claim = Claim {
            owner: Owner::from_bytes([7; 16]),
            lease: Duration::from_nanos(lease),
            retention: Duration::from_nanos(retention),
        };
        let call = Call::Lock { fingerprint: Fingerprint::from_bytes([7; 32]), claim, min_sequence: 0 };
        let Change::Put(record) = decide(None, call, AS_OF).change else { panic!("not locked") };
        let bytes = encode(&key(), &record, checksum_scope).unwrap();
        prop_assert_eq!(decode(&key(), &bytes, checksum_scope, AS_OF).unwrap(), record);
    }
}

/// The lengths at which the encoding of a length changes its form.
#[test]
fn values_of_every_form_of_length_are_read_as_written() {
    for length in [0, 1, 250, 251, 252, 253, 65_535, 65_536, 1_000_000] {
        let record = completed(Outcome::Value(Bytes::from(vec![0x5A; length])));
        for checksum_scope in CHECKSUM_SCOPES {
            let bytes = encode(&key(), &record, checksum_scope).unwrap();
            assert_eq!(decode(&key(), &bytes, checksum_scope, AS_OF).unwrap(), record, "{length}");
        }
    }
}
