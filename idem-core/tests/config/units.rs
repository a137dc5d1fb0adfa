//! Durations and sizes as people write them.

use std::time::Duration;

use idem_core::config::units;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Pause {
    #[serde(deserialize_with = "units::duration")]
    is: Duration,
}

#[derive(Debug, Deserialize)]
struct Size {
    #[serde(deserialize_with = "units::bytes")]
    is: u64,
}

fn duration(toml: &str) -> Result<Duration, String> {
    toml::from_str::<Pause>(&format!("is = {toml}")).map(|read| read.is).map_err(|error| error.to_string())
}

fn bytes(toml: &str) -> Result<u64, String> {
    toml::from_str::<Size>(&format!("is = {toml}")).map(|read| read.is).map_err(|error| error.to_string())
}

#[test]
fn duration_has_a_unit() {
    for (text, expected) in [
        ("'500ms'", Duration::from_millis(500)),
        ("'30s'", Duration::from_secs(30)),
        ("'1h 30m'", Duration::from_mins(90)),
        ("'7days'", Duration::from_hours(7 * 24)),
        ("'0s'", Duration::ZERO),
    ] {
        assert_eq!(duration(text), Ok(expected), "{text}");
    }
}

#[test]
fn duration_without_a_unit_or_sense_is_refused() {
    for text in ["30", "'30'", "''", "'soon'", "'-1s'", "1.5", "true", "'99999999999999999999s'"] {
        let error = duration(text).unwrap_err();
        assert!(error.contains("30s") || error.contains("string"), "{text}: {error}");
    }
}

#[test]
fn size_is_a_number_of_bytes_or_has_a_unit() {
    for (text, expected) in [
        ("0", 0),
        ("1024", 1_024),
        ("'1024'", 1_024),
        ("'64MiB'", 64 << 20),
        ("'64 MiB'", 64 << 20),
        ("'64mib'", 64 << 20),
        ("'10MB'", 10_000_000),
        ("'1.5KiB'", 1_536),
    ] {
        assert_eq!(bytes(text), Ok(expected), "{text}");
    }
}

#[test]
fn size_without_sense_is_refused_with_an_example() {
    for text in ["-1", "'-1'", "1.5", "true", "[]", "''", "'MiB'", "'64 apples'", "'NaN'", "'inf'"] {
        let error = bytes(text).unwrap_err();
        assert!(error.contains("64MiB"), "{text}: {error}");
    }
}

/// A size that does not fit 64 bits is a mistake, and not taken for "unlimited".
#[test]
fn size_that_does_not_fit_64_bits_is_refused() {
    for text in ["'99999999999999999999'", "'20000000TiB'", "'1e30'", "'99999999999999999999999PiB'"] {
        let error = bytes(text).unwrap_err();
        assert!(error.contains("64MiB"), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let text = serde_json::Value::String(text);
        let _either = (units::duration(text.clone()), units::bytes(text));
    }

    #[test]
    fn whole_numbers_of_bytes_are_exact(number in 0..=i64::MAX.unsigned_abs()) {
        prop_assert_eq!(bytes(&number.to_string()), Ok(number));
        prop_assert_eq!(bytes(&format!("'{number}'")), Ok(number));
    }
}
