//! Golden files pin the bytes, in both directions. Another implementation (`golden/generate.py`) made them from the
//! layout that `codec` documents.
//!
//! A change that fails here cannot read records that are already stored: it needs a new version byte, not new files.

use bytes::Bytes;
use idem_core::backend::codec::{ChecksumScope, decode, encode};
use idem_core::record::Record;
use idem_core::{Fingerprint, Key, Outcome, Scope, UnavailableReason};

use crate::support::{self, AS_OF, completed, key, value};

macro_rules! pinned {
    ($($name:ident: $record:expr;)*) => {$(
        #[test]
        fn $name() {
            let whole = include_str!(concat!("../../golden/whole/", stringify!($name), ".hex"));
            assert_pinned(&$record, whole, ChecksumScope::Whole);
            let body = include_str!(concat!("../../golden/body/", stringify!($name), ".hex"));
            assert_pinned(&$record, body, ChecksumScope::Body);
        }
    )*};
}

pinned! {
    locked: support::locked(true, None);
    locked_checkpoint: support::locked(true, Some(b"charged"));
    released: support::locked(false, Some(b"charged"));
    completed_value: value(b"3 apples");
    completed_long: completed(Outcome::Value(Bytes::from(vec![0xAB; 300])));
    completed_empty: value(b"");
    unavailable_other: completed(Outcome::Unavailable(UnavailableReason::Other));
    unavailable_too_large: completed(Outcome::Unavailable(UnavailableReason::TooLarge));
    unavailable_streamed: completed(Outcome::Unavailable(UnavailableReason::Streamed));
    unavailable_upgraded: completed(Outcome::Unavailable(UnavailableReason::Upgraded));
    unavailable_panicked: completed(Outcome::Unavailable(UnavailableReason::Panicked));
    unavailable_not_encodable: completed(Outcome::Unavailable(UnavailableReason::NotEncodable));
}

#[track_caller]
fn assert_pinned(record: &Record, golden: &str, checksum_scope: ChecksumScope) {
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex(&encode(&key(), record, checksum_scope).unwrap()), golden);
    assert_eq!(&decode(&key(), &unhex(&golden), checksum_scope, AS_OF).unwrap(), record);
}

#[test]
fn storage_key_of_a_scope() {
    assert_eq!(hex(key().storage_key()), include_str!("../../golden/storage_key.hex").trim());
}

#[test]
fn storage_key_of_the_shared_scope() {
    let key = Key::new(&Scope::shared(), "order-1").unwrap();
    assert_eq!(hex(key.storage_key()), include_str!("../../golden/storage_key_shared.hex").trim());
}

#[test]
fn fingerprint_of_parts() {
    let fingerprint = Fingerprint::builder("payments v1")
        .part("POST")
        .part("/payments")
        .part("")
        .part(r#"{"cents":1200}"#)
        .finish();
    assert_eq!(hex(fingerprint.as_bytes()), include_str!("../../golden/fingerprint.hex").trim());
}

#[test]
fn typed_result() {
    type Booked = (String, u32, i64, Vec<u16>);
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Named {
        kind: String,
        at: Option<u64>,
    }
    let named = Named { kind: "card".to_owned(), at: None };
    let value: (Booked, Named) = (("booked".to_owned(), 1200, -3, vec![7, 300]), named);
    let encoded = idem_core::typed::encode_value(&value).unwrap();
    assert_eq!(hex(&encoded), include_str!("../../golden/typed.hex").trim());
    assert_eq!(idem_core::typed::decode_value::<(Booked, Named)>(&encoded).unwrap(), value);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
