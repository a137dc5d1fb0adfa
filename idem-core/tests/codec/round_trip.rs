//! What is written is what is read.

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::codec::{decode, encode};
use idem_core::backend::{Call, Change, decide};
use idem_core::{Claim, Fingerprint, Outcome, Owner};
use proptest::prelude::*;

use crate::support::{AS_OF, COVERS, any_cover, any_record, completed, key};

proptest! {
    #[test]
    fn every_record_is_read_as_it_was_written(record in any_record(), cover in any_cover()) {
        let bytes = encode(&key(), &record, cover).unwrap();
        prop_assert_eq!(decode(&key(), &bytes, cover, AS_OF).unwrap(), record);
    }

    #[test]
    fn encoding_is_a_function_of_the_record(record in any_record(), cover in any_cover()) {
        prop_assert_eq!(
            encode(&key(), &record, cover).unwrap(),
            encode(&key(), &record.clone(), cover).unwrap()
        );
    }
}

proptest! {
    /// Whatever fractions of a microsecond a caller asks for: a store that encodes its records and one that
    /// does not keep the same ones.
    #[test]
    fn every_record_that_is_decided_is_read_as_it_was_decided(
        lease in 1..u64::MAX,
        retention in 1..u64::MAX,
        cover in any_cover(),
    ) {
        let claim = Claim {
            owner: Owner::from_bytes([7; 16]),
            lease: Duration::from_nanos(lease),
            retention: Duration::from_nanos(retention),
        };
        let call = Call::Lock { fingerprint: Fingerprint::from_bytes([7; 32]), claim, min_sequence: 0 };
        let Change::Put(record) = decide(None, call, AS_OF).change else { panic!("not locked") };
        let bytes = encode(&key(), &record, cover).unwrap();
        prop_assert_eq!(decode(&key(), &bytes, cover, AS_OF).unwrap(), record);
    }
}

/// Where the encoding of a length changes its form.
#[test]
fn values_of_every_form_of_length_are_read_as_written() {
    for length in [0, 1, 250, 251, 252, 253, 65_535, 65_536, 1_000_000] {
        let record = completed(Outcome::Value(Bytes::from(vec![0x5A; length])));
        for cover in COVERS {
            let bytes = encode(&key(), &record, cover).unwrap();
            assert_eq!(decode(&key(), &bytes, cover, AS_OF).unwrap(), record, "{length}");
        }
    }
}
