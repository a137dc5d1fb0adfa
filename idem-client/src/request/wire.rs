//! The serialized form of an [`OutgoingRequest`](crate::OutgoingRequest). It has the same shape in every format, whether
//! self-describing or not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

pub(super) const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    pub(super) version: u16,
    pub(super) key: String,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, Octets)>,
    pub(super) left_out: Vec<String>,
    pub(super) body: WireBody,
    /// Seconds since 1970, as is `until`.
    pub(super) first_sent: u64,
    pub(super) until: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireBody {
    None,
    Kept(Octets),
    Stream,
}

/// Bytes, written as text where they are UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Octets {
    Text(String),
    Base64(String),
}

impl From<&[u8]> for Octets {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}

impl Octets {
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).map_err(|_| Unreadable::Part("base64")),
        }
    }
}

/// Why a serialized request cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("version {0} of a request that was kept; this release reads {VERSION}")]
    Version(u16),
    #[error("a request that was kept holds no readable {0}")]
    Part(&'static str),
}
