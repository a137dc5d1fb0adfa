//! Every attribute of serde that changes what is written: each value is read back as it was.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{assert_comes_back, replayed};

/// The case that was found: read by position, `tags` became `discount` without an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Receipt {
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<u8>,
    cents: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<u8>,
    #[serde(rename = "paidAt", alias = "paid_at")]
    paid_at: Option<i64>,
    #[serde(flatten)]
    method: Method,
}

/// Collects fields that this version does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    id: u64,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Method {
    CreditCard { last_four: String, from: IpAddr },
    Transfer(Transfer),
    Cash,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    bank_code: u32,
    after: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Address(IpAddr),
    Text(String),
    Bytes(Vec<u8>),
    Fields { left: f64, right: Option<bool> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
enum Adjacent {
    Unit,
    One(char),
    Two(u8, String),
    Fields { by_number: BTreeMap<u32, String> },
}

/// An enum without attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum External {
    Unit,
    One(Box<External>),
    Two(i8, i64),
    Fields { wide: u128, narrow: i128 },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    row: u8,
    seat: String,
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        ("[0-9]{4}", any::<IpAddr>()).prop_map(|(last_four, from)| Method::CreditCard { last_four, from }),
        (any::<u32>(), any::<Duration>())
            .prop_map(|(bank_code, after)| Method::Transfer(Transfer { bank_code, after })),
        Just(Method::Cash),
    ]
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let tags = prop::collection::vec(any::<u8>(), 0..4);
    (any::<Option<u8>>(), any::<u64>(), tags, any::<Option<i64>>(), method()).prop_map(
        |(discount, cents, tags, paid_at, method)| Receipt { discount, cents, tags, paid_at, method },
    )
}

fn open() -> impl Strategy<Value = Open> {
    let more = prop::collection::btree_map("[m-z]{4}", value(), 0..4);
    (any::<u64>(), more).prop_map(|(id, more)| Open { id, more })
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no other numbers", |number| number.is_finite())
            .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn untagged() -> impl Strategy<Value = Untagged> {
    let text = ".{0,20}"
        .prop_filter("an address would be read as an address", |text| text.parse::<IpAddr>().is_err());
    prop_oneof![
        any::<i64>().prop_map(Untagged::Number),
        any::<IpAddr>().prop_map(Untagged::Address),
        text.prop_map(Untagged::Text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Untagged::Bytes),
        (prop::num::f64::NORMAL, any::<Option<bool>>())
            .prop_map(|(left, right)| Untagged::Fields { left, right }),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    let by_number = prop::collection::btree_map(any::<u32>(), ".{0,8}", 0..4);
    prop_oneof![
        Just(Adjacent::Unit),
        any::<char>().prop_map(Adjacent::One),
        (any::<u8>(), ".{0,8}").prop_map(|(number, text)| Adjacent::Two(number, text)),
        by_number.prop_map(|by_number| Adjacent::Fields { by_number }),
    ]
}

fn external() -> impl Strategy<Value = External> {
    let leaf = prop_oneof![
        Just(External::Unit),
        (any::<i8>(), any::<i64>()).prop_map(|(one, two)| External::Two(one, two)),
        (any::<u128>(), any::<i128>()).prop_map(|(wide, narrow)| External::Fields { wide, narrow }),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| inner.prop_map(|inner| External::One(Box::new(inner))))
}

proptest! {
    #[test]
    fn skipped_defaulted_renamed_and_flattened_fields_come_back(receipt in receipt()) {
        prop_assert_eq!(replayed(&receipt), receipt);
    }

    #[test]
    fn unknown_fields_that_are_collected_come_back(open in open()) {
        prop_assert_eq!(replayed(&open), open);
    }

    #[test]
    fn any_json_comes_back(value in value()) {
        prop_assert_eq!(replayed(&value), value);
    }

    #[test]
    fn untagged_enums_come_back(value in prop::collection::vec(untagged(), 0..4)) {
        prop_assert_eq!(replayed(&value), value);
    }

    #[test]
    fn adjacently_tagged_enums_come_back(value in adjacent()) {
        prop_assert_eq!(replayed(&value), value);
    }

    #[test]
    fn externally_tagged_enums_come_back(value in external()) {
        prop_assert_eq!(replayed(&value), value);
    }

    #[test]
    fn maps_with_keys_of_any_type_come_back(
        by_number in prop::collection::btree_map(any::<i64>(), any::<bool>(), 0..4),
        by_place in prop::collection::btree_map((any::<u8>(), ".{0,4}"), any::<u8>(), 0..4),
        by_letter in prop::collection::btree_map(any::<char>(), any::<Option<u8>>(), 0..4),
    ) {
        let by_place: BTreeMap<Place, u8> =
            by_place.into_iter().map(|((row, seat), price)| (Place { row, seat }, price)).collect();
        let maps = (by_number, by_place, by_letter);
        prop_assert_eq!(replayed(&maps), maps);
    }

    /// Compared bit by bit, since NaN is not equal to itself.
    #[test]
    fn floating_point_numbers_come_back_bit_by_bit(wide: u64, narrow: u32) {
        let floats = (f64::from_bits(wide), f32::from_bits(narrow));
        let (wide_again, narrow_again) = replayed(&floats);
        prop_assert_eq!((wide_again.to_bits(), narrow_again.to_bits()), (wide, narrow));
    }
}

#[test]
fn numbers_that_json_lacks_come_back() {
    for number in [f64::INFINITY, f64::NEG_INFINITY, -0.0] {
        assert_comes_back(&number);
    }
    assert!(replayed(&f64::NAN).is_nan());
    assert!(replayed(&vec![f32::NAN])[0].is_nan());
    assert_comes_back(&(u128::MAX, i128::MIN));
}

#[test]
fn values_that_serde_buffers_for_an_enum_come_back_in_the_form_they_were_written_in() {
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    assert_comes_back(&Untagged::Address(address));
    assert_comes_back(&Method::CreditCard { last_four: "4242".to_owned(), from: address });
}

#[test]
fn text_that_is_borrowed_comes_back_as_text_of_its_own() {
    let borrowed: Cow<'static, str> = Cow::Borrowed("booked");
    assert_comes_back(&borrowed);
    assert_comes_back(&HashMap::from([(borrowed, Cow::<[u8]>::Owned(vec![0, 255]))]));
}

#[test]
fn values_without_content_come_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Empty {}
    assert_comes_back(&());
    assert_comes_back(&Unit);
    assert_comes_back(&Empty {});
    assert_comes_back(&(None::<u8>, Vec::<u8>::new(), String::new(), json!({})));
}
