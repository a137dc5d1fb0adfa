//! How durations and sizes are written in a configuration, the same in every backend.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     #[serde(deserialize_with = "idem_core::config::units::duration")]
//!     sweep_interval: Duration,
//!     #[serde(deserialize_with = "idem_core::config::units::bytes")]
//!     max_bytes: u64,
//! }
//! let config: Config = toml::from_str(r#"sweep_interval = "1m 30s"
//! max_bytes = "64MiB""#)?;
//! assert_eq!((config.sweep_interval, config.max_bytes), (Duration::from_secs(90), 64 * 1024 * 1024));
//! # Ok::<(), toml::de::Error>(())
//! ```

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::{self, Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration with its unit: `"500ms"`, `"30s"`, `"1h 30m"`. A bare number is an error, since its unit would be a
/// guess.
///
/// # Errors
/// The deserializer's, naming the value.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|source| D::Error::custom(format!("{text:?} is no duration such as \"30s\": {source}")))
}

/// A size in bytes: a number, or a text with a unit such as `"64MiB"` or `"10MB"`.
///
/// # Errors
/// The deserializer's, naming the value.
pub fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Size;
    impl Visitor<'_> for Size {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size: a number of bytes, or a text such as \"64MiB\"")
        }

        fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<u64, E> {
            Ok(bytes)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
            u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            parse_bytes(text)
                .map_err(|reason| E::custom(format!("{text:?} is no size such as \"64MiB\": {reason}")))
        }
    }
    deserializer.deserialize_any(Size)
}

/// As [`duration()`], for an option without which a default stands: `#[serde(default, deserialize_with = "...")]`.
///
/// # Errors
/// The deserializer's, naming the value.
pub fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// As [`bytes()`], for an option without which a default stands: `#[serde(default, deserialize_with = "...")]`.
///
/// # Errors
/// The deserializer's, naming the value.
pub fn some_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    bytes(deserializer).map(Some)
}

/// A size as [`bytes()`] reads it, in the largest unit in which it is a whole number.
///
/// ```
/// use idem_core::config::units::written_bytes;
///
/// assert_eq!([64 << 20, 1_000, 1 << 40].map(written_bytes), ["64MiB", "1000B", "1TiB"]);
/// ```
#[must_use]
pub fn written_bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(bits, _)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    unit.map_or_else(|| format!("{bytes}B"), |(bits, unit)| format!("{}{unit}", bytes >> bits))
}

/// A duration as [`duration()`] reads it.
///
/// ```
/// use std::time::Duration;
/// use idem_core::config::units::written_duration;
///
/// assert_eq!(written_duration(Duration::from_millis(90_500)), "1m 30s 500ms");
/// ```
#[must_use]
pub fn written_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>()?.as_u64() {
        // The parser stops at the highest number, and a mistyped bound must not become no bound at all.
        u64::MAX => Err("it is beyond all numbers".to_owned()),
        bytes => Ok(bytes),
    }
}
