//! Typed results: what is kept is what comes back, and a changed type is an error that says so.

use idem_core::{ErrorKind, Operation, decode_value, encode_value};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Receipt {
    Declined { reason: String },
    Charged { cents: u64, tags: Vec<String>, at: Option<i64> },
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let tags = prop::collection::vec(".{0,20}", 0..20);
    prop_oneof![
        ".{0,100}".prop_map(|reason| Receipt::Declined { reason }),
        (any::<u64>(), tags, any::<Option<i64>>()).prop_map(|(cents, tags, at)| Receipt::Charged {
            cents,
            tags,
            at
        }),
    ]
}

proptest! {
    #[test]
    fn every_value_comes_back(value in receipt()) {
        prop_assert_eq!(decode_value::<Receipt>(&encode_value(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn random_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = decode_value::<Receipt>(&bytes) {
            prop_assert_eq!(error.kind(), ErrorKind::Incompatible);
        }
    }
}

#[test]
fn longer_bytes_than_the_type_are_incompatible() {
    let bytes = encode_value(&(7_u8, 8_u8)).unwrap();
    let error = decode_value::<u8>(&bytes).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Incompatible, Operation::Typed));
}

#[test]
fn shorter_bytes_than_the_type_are_incompatible() {
    let bytes = encode_value(&7_u8).unwrap();
    assert_eq!(decode_value::<(u8, u8)>(&bytes).unwrap_err().kind(), ErrorKind::Incompatible);
}

#[test]
fn value_that_refuses_to_be_encoded_is_an_invalid_argument() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    assert_eq!(encode_value(&Refuses).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn nothing_is_a_result_too() {
    let bytes = encode_value(&()).unwrap();
    assert!(bytes.is_empty());
    decode_value::<()>(&bytes).unwrap();
}

/// What could never be read back is not kept: the caller is told now, not at the first replay.
#[test]
fn result_beyond_the_limit_is_too_large() {
    let most = "x".repeat((64 << 20) - 5);
    let bytes = encode_value(&most).unwrap();
    assert!(decode_value::<String>(&bytes).unwrap() == most);
    let more = "x".repeat((64 << 20) - 4);
    assert_eq!(encode_value(&more).unwrap_err().kind(), ErrorKind::TooLarge);
}

/// Numbers that take sixteen times their bytes in memory, in results as long as each of the decoder's limits
/// is for.
#[test]
fn widest_numbers_in_one_byte_each_are_read_back_up_to_each_limit() {
    for bytes in [64 << 10, (64 << 10) + 1, 2 << 20, (2 << 20) + 1] {
        let length_prefix = if bytes - 3 <= 0xFFFF { 3 } else { 5 };
        let widest = vec![1_u128; bytes - length_prefix];
        let encoded = encode_value(&widest).unwrap();
        assert_eq!(encoded.len(), bytes);
        assert!(decode_value::<Vec<u128>>(&encoded).unwrap() == widest, "{bytes} bytes");
    }
}
