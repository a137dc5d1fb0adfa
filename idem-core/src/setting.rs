//! How durations and sizes are written in a configuration, and how its URIs are shown, the same in every backend.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     #[serde(deserialize_with = "idem_core::setting::duration")]
//!     sweep_interval: Duration,
//!     #[serde(deserialize_with = "idem_core::setting::bytes")]
//!     max_bytes: u64,
//! }
//! let config: Config = toml::from_str(r#"sweep_interval = "1m 30s"
//! max_bytes = "64MiB""#)?;
//! assert_eq!((config.sweep_interval, config.max_bytes), (Duration::from_secs(90), 64 * 1024 * 1024));
//! # Ok::<(), toml::de::Error>(())
//! ```

use std::time::Duration;

use bytesize::ByteSize;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A duration with its unit: `"500ms"`, `"30s"`, `"1h 30m"`. A bare number is an error: its unit is a guess.
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
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a size is a number of bytes, or a text such as \"64MiB\"")]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(bytes) => Ok(bytes),
        Written::Text(text) => parse_bytes(&text)
            .map_err(|reason| D::Error::custom(format!("{text:?} is no size such as \"64MiB\": {reason}"))),
    }
}

/// A store's URI as it may be shown: `***` in place of user and password, and in place of the options.
///
/// ```
/// use idem_core::setting::masked;
///
/// assert_eq!(masked("redis://app:p%40ss@h1:6379/0?acks=1"), "redis://***@h1:6379/0?***");
/// assert_eq!(masked("redb:./payments.idem"), "redb:./payments.idem");
/// ```
#[must_use]
pub fn masked(uri: &str) -> String {
    crate::registry::masked(uri)
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>()?.as_u64() {
        // The parser stops at the highest number, and a bound that was mistyped must not become none.
        u64::MAX => Err("it is beyond all numbers".to_owned()),
        bytes => Ok(bytes),
    }
}
