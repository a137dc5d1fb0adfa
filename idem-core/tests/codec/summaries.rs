//! A summary says what the whole record says, whatever is at hand of it.

use idem_core::ErrorKind;
use idem_core::backend::codec::{HEAD_LEN, encode, summarize, summarize_head};
use idem_core::scan::Summary;
use proptest::prelude::*;

use crate::support::{CHECKSUM_SCOPES, REASONS, any_checksum_scope, any_record, completed, key, other_key};

proptest! {
    #[test]
    fn a_summary_is_that_of_the_decoded_record(record in any_record(), checksum_scope in any_checksum_scope()) {
        let bytes = encode(&key(), &record, checksum_scope).unwrap();
        let expected = Summary::of(&record);
        prop_assert_eq!(summarize(&key(), &bytes, checksum_scope).unwrap(), expected.clone());
        prop_assert_eq!(summarize_head(&bytes[..HEAD_LEN]).unwrap(), expected.clone());
        prop_assert_eq!(summarize_head(&bytes).unwrap(), expected);
    }

    #[test]
    fn any_bytes_are_a_summary_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _any = summarize_head(&bytes);
        for checksum_scope in CHECKSUM_SCOPES {
            prop_assert!(summarize(&key(), &bytes, checksum_scope).is_err());
        }
    }

    #[test]
    fn an_altered_head_is_a_summary_or_an_error(
        record in any_record(),
        at in 0..HEAD_LEN,
        byte in any::<u8>(),
        length in 0..=HEAD_LEN,
    ) {
        let mut bytes = encode(&key(), &record, CHECKSUM_SCOPES[0]).unwrap();
        bytes[at] = byte;
        let _any = summarize_head(&bytes[..length]);
        if length < HEAD_LEN {
            prop_assert!(summarize_head(&bytes[..length]).is_err());
        }
    }
}

#[test]
fn the_record_of_another_key_is_corrupt() {
    for reason in REASONS {
        let record = completed(idem_core::Outcome::Unavailable(reason));
        for checksum_scope in CHECKSUM_SCOPES {
            let bytes = encode(&key(), &record, checksum_scope).unwrap();
            let error = summarize(&other_key(), &bytes, checksum_scope).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}
