//! No bytes, however hostile, make the decoder allocate more than their own size.

use allocation_counter::measure;
use idem_core::Outcome;
use idem_core::backend::codec::{ChecksumScope, HEADER_LEN, decode, encode};
use idem_core::typed::decode_value;
use proptest::prelude::*;

use crate::support::{AS_OF, any_checksum_scope, any_record, completed, key, locked, sealed, value};

/// Allowed for the texts of an error and its source.
const OVERHEAD: u64 = 1_024;

#[track_caller]
fn peak(bytes: &[u8], checksum_scope: ChecksumScope) -> u64 {
    measure(|| {
        let _either = std::hint::black_box(decode(&key(), bytes, checksum_scope, AS_OF));
    })
    .bytes_max
}

#[test]
fn counter_sees_what_a_decoder_allocates() {
    let outcome = Outcome::Value(vec![7; 100_000].into());
    let bytes = encode(&key(), &completed(outcome), ChecksumScope::Whole).unwrap();
    assert!((100_000..100_000 + OVERHEAD).contains(&peak(&bytes, ChecksumScope::Whole)));
}

#[test]
fn encoding_allocates_once() {
    let key = key();
    for length in [0, 250, 251, 70_000] {
        let record = completed(Outcome::Value(vec![7; length].into()));
        let encoded = measure(|| drop(encode(&key, &record, ChecksumScope::Whole).unwrap()));
        assert_eq!(encoded.count_total, 1, "{length} bytes");
        assert!(encoded.bytes_max <= length as u64 + 200, "{length} bytes");
    }
    let record = locked(true, Some(b"charged"));
    let encoded = measure(|| drop(encode(&key, &record, ChecksumScope::Whole).unwrap()));
    assert_eq!(encoded.count_total, 1);
}

#[test]
fn absurd_length_allocates_nothing_for_it() {
    let encoded = encode(&key(), &value(b"3 apples"), ChecksumScope::Whole).unwrap();
    for length in [u64::MAX, 1 << 63, i64::MAX.unsigned_abs(), 1 << 40, 1 << 31] {
        let body = [&[1, 253][..], &length.to_le_bytes(), b"3 apples"].concat();
        let bytes = sealed(&key(), &encoded[..HEADER_LEN], &body, ChecksumScope::Whole);
        assert!(decode(&key(), &bytes, ChecksumScope::Whole, AS_OF).is_err());
        assert!(peak(&bytes, ChecksumScope::Whole) <= OVERHEAD);
    }
}

/// A typed result may take more room in memory than in bytes (a number of one byte may be a `u128`), but
/// only in proportion.
#[test]
fn absurd_length_in_a_typed_result_allocates_in_proportion_only() {
    for length in [u32::MAX, 1 << 31, 200 << 20] {
        let claim = |marker: u8| [&[0xC1, marker][..], &length.to_be_bytes(), b"booked"].concat();
        let [text, bytes, list, map] = [0xDB, 0xC6, 0xDD, 0xDF].map(claim);
        let most = |peaks: [u64; 4]| assert!(peaks.iter().all(|peak| *peak <= 2 << 20), "{peaks:?} bytes");
        most([
            measure(|| assert!(decode_value::<String>(&text).is_err())).bytes_max,
            measure(|| assert!(decode_value::<Vec<u8>>(&bytes).is_err())).bytes_max,
            measure(|| assert!(decode_value::<Vec<u128>>(&list).is_err())).bytes_max,
            measure(|| assert!(decode_value::<serde_json::Value>(&map).is_err())).bytes_max,
        ]);
    }
}

proptest! {
    #[test]
    fn whole_record_allocates_no_more_than_its_size(record in any_record(), checksum_scope in any_checksum_scope()) {
        let bytes = encode(&key(), &record, checksum_scope).unwrap();
        prop_assert!(peak(&bytes, checksum_scope) <= bytes.len() as u64 + OVERHEAD);
    }

    #[test]
    fn hostile_record_allocates_no_more_than_its_size(
        state in 1..4_u8,
        body in prop::collection::vec(any::<u8>(), 0..300),
        checksum_scope in any_checksum_scope(),
    ) {
        let header = [&[1, state][..], &[0; HEADER_LEN - 2]].concat();
        let bytes = sealed(&key(), &header, &body, checksum_scope);
        prop_assert!(peak(&bytes, checksum_scope) <= bytes.len() as u64 + OVERHEAD);
    }
}
