//! A result that is written before a deploy and read after it, or the other way round.

use idem_core::ErrorKind;
use idem_core::typed::{decode_value, encode_value};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Before {
    net: u64,
    gross: u64,
    note: Option<String>,
    channel: Channel,
}

/// Two fields of one type have changed places, one is gone, two are new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct After {
    gross: u64,
    net: u64,
    #[serde(default)]
    tax: u64,
    channel: Channel,
    voucher: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Channel {
    Web,
    Phone,
}

/// The variants have changed places, and one is new.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum NewChannel {
    Shop,
    Phone,
    Web,
}

fn before() -> impl Strategy<Value = Before> {
    let channel = prop_oneof![Just(Channel::Web), Just(Channel::Phone)];
    (any::<u64>(), any::<u64>(), any::<Option<String>>(), channel)
        .prop_map(|(net, gross, note, channel)| Before { net, gross, note, channel })
}

proptest! {
    #[test]
    fn fields_that_were_moved_added_or_removed_are_read_by_name(before in before()) {
        let after: After = decode_value(&encode_value(&before).unwrap()).unwrap();
        let Before { net, gross, channel, .. } = before;
        prop_assert_eq!(&after, &After { gross, net, tax: 0, channel, voucher: None });

        let back: Before = decode_value(&encode_value(&after).unwrap()).unwrap();
        prop_assert_eq!(back, Before { net, gross, note: None, channel });
    }
}

#[test]
fn variants_are_read_by_name() {
    for (before, after) in [(Channel::Web, NewChannel::Web), (Channel::Phone, NewChannel::Phone)] {
        assert_eq!(decode_value::<NewChannel>(&encode_value(&before).unwrap()).unwrap(), after);
    }
    let unknown = decode_value::<Channel>(&encode_value(&NewChannel::Shop).unwrap()).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Incompatible);
    assert!(unknown.message().contains("a variant that this type does not have"), "{unknown}");
    assert!(!unknown.message().contains("Shop"), "what is stored is not shown: {unknown}");
}

#[test]
fn missing_required_field_is_incompatible() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Stricter {
        gross: u64,
        vat_number: String,
    }
    let before = Before { net: 1, gross: 2, note: None, channel: Channel::Web };
    let error = decode_value::<Stricter>(&encode_value(&before).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.message().contains("missing field `vat_number`"), "{error}");
}

#[test]
fn field_of_another_type_is_incompatible() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by serde alone")]
    struct Decimal {
        gross: String,
    }
    let before = Before { net: 1, gross: 2, note: None, channel: Channel::Web };
    let read = decode_value::<Decimal>(&encode_value(&before).unwrap());
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Incompatible);
}

/// A number keeps its value in a wider type, and is never cut to fit a narrower one.
#[test]
fn numbers_are_read_into_any_type_that_can_hold_them() {
    assert_eq!(decode_value::<u64>(&encode_value(&7_u8).unwrap()).unwrap(), 7);
    assert_eq!(decode_value::<i16>(&encode_value(&200_u64).unwrap()).unwrap(), 200);
    assert_eq!(
        decode_value::<u8>(&encode_value(&300_u64).unwrap()).unwrap_err().kind(),
        ErrorKind::Incompatible
    );
    assert_eq!(
        decode_value::<u64>(&encode_value(&-1_i64).unwrap()).unwrap_err().kind(),
        ErrorKind::Incompatible
    );
}
