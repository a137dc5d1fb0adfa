//! The bytes of a typed result: bounded, read to their end, and refused where they are of another type.

use idem_core::ErrorKind;
use idem_core::error::Operation;
use idem_core::typed::{decode_value, encode_value};
use proptest::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::Value;

type Receipt = (String, u64, Vec<Option<i32>>);

proptest! {
    #[test]
    fn random_bytes_are_an_error_or_a_value(
        format in any::<bool>(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if format {
            bytes.insert(0, 0xC1);
        }
        for error in [decode_value::<Receipt>(&bytes).err(), decode_value::<Value>(&bytes).err()] {
            prop_assert!(error.is_none_or(|error| error.kind() == ErrorKind::Incompatible));
        }
    }
}

#[track_caller]
fn assert_incompatible<T: serde::de::DeserializeOwned>(bytes: &[u8]) {
    match decode_value::<T>(bytes) {
        Err(error) => {
            assert_eq!((error.kind(), error.operation()), (ErrorKind::Incompatible, Operation::Typed));
        }
        Ok(_) => panic!("{bytes:x?} should not be read"),
    }
}

#[test]
fn bytes_of_another_type_are_incompatible() {
    assert_incompatible::<u8>(&encode_value("booked").unwrap());
    assert_incompatible::<String>(&encode_value(&7_u8).unwrap());
    assert_incompatible::<(u8, u8)>(&encode_value(&(7_u8,)).unwrap());
    assert_incompatible::<(u8,)>(&encode_value(&(7_u8, 8_u8)).unwrap());
}

#[test]
fn bytes_that_are_too_short_or_too_long_are_incompatible() {
    let bytes = encode_value(&("booked", 1200_u64, vec![Some(7_i32), None])).unwrap();
    for length in 0..bytes.len() {
        assert_incompatible::<Receipt>(&bytes[..length]);
    }
    for more in [0x00, 0xC0, 0xC1, 0xFF] {
        assert_incompatible::<Receipt>(&[&bytes[..], &[more]].concat());
    }
}

/// An earlier version wrote results with bincode, without a format byte.
#[test]
fn bytes_without_the_format_byte_are_incompatible() {
    let bytes = encode_value(&("booked", 3_u32)).unwrap();
    assert_incompatible::<(String, u32)>(&bytes[1..]);
    assert_incompatible::<(String, u32)>(&[&[6], &b"booked"[..], &[3]].concat());
    assert_incompatible::<()>(&[]);
}

#[test]
fn value_nested_without_end_is_an_error_and_no_overflow() {
    for deep in [200, 1_000, 1_000_000] {
        let mut bytes = vec![0xC1];
        bytes.resize(deep, 0x91);
        assert_incompatible::<Value>(&bytes);
        assert_incompatible::<serde::de::IgnoredAny>(&bytes);
    }
}

#[test]
fn value_nested_a_hundred_times_comes_back() {
    let deep = (0..100).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    assert_eq!(decode_value::<Value>(&encode_value(&deep).unwrap()).unwrap(), deep);
}

#[test]
fn missing_field_is_named_and_nothing_of_the_value_is_shown() {
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "read by serde alone")]
    struct Receipt {
        secret: String,
        cents: u64,
    }
    let error = decode_value::<Receipt>(&encode_value(&serde_json::json!({"secret": "hush"})).unwrap());
    let shown = format!("{:?}", error.unwrap_err());
    assert!(shown.contains("missing field `cents`") && !shown.contains("hush"), "{shown}");
    for value in
        [serde_json::json!({"secret": 7, "cents": "hush `hush`"}), serde_json::json!("missing field `hush`")]
    {
        let shown = format!("{:?}", decode_value::<Receipt>(&encode_value(&value).unwrap()).unwrap_err());
        assert!(!shown.contains("hush"), "{shown}");
    }
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

/// The error is logged with its sources, so a type's own message about the value that it refuses must not be one of
/// them.
#[test]
fn refused_value_is_not_shown_by_the_error() {
    struct Refuses(&'static str);
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom(format!("{} cannot be written", self.0)))
        }
    }
    let error = encode_value(&("in a tuple", Refuses("hush"))).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}

/// A result that could not be read back is refused at once, and not at the first replay.
#[test]
fn result_beyond_the_limit_is_too_large() {
    let most = "x".repeat((64 << 20) - 6);
    let bytes = encode_value(&most).unwrap();
    assert!(decode_value::<String>(&bytes).unwrap() == most);
    assert_incompatible::<String>(&[&bytes[..], &[0]].concat());
    let more = "x".repeat((64 << 20) - 5);
    assert_eq!(encode_value(&more).unwrap_err().kind(), ErrorKind::TooLarge);
}
