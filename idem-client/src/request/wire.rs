//! How a [`OutgoingRequest`] is written. The same shape in every format, whether it describes itself or not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use crate::sending::{Kept, Lifetime, is_secret};
use crate::{ClientKey, OutgoingRequest};

const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    version: u16,
    key: String,
    method: String,
    url: String,
    headers: Vec<(String, Octets)>,
    left_out: Vec<String>,
    body: WireBody,
    /// Seconds since 1970.
    first_sent: u64,
    until: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireBody {
    None,
    Kept(Octets),
    Stream,
}

/// Readable where it can be.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Octets {
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
    fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).map_err(|_| Unreadable::Part("base64")),
        }
    }
}

impl From<OutgoingRequest> for Wire {
    fn from(sending: OutgoingRequest) -> Self {
        let mut url = sending.url;
        // Nothing of it is sent: reqwest has made a header of it. Neither fails where there can be one.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        let mut left_out: Vec<_> = sending.left_out.iter().map(|name| name.as_str().to_owned()).collect();
        let mut headers = Vec::new();
        for (name, value) in &sending.headers {
            let name = name.as_str().to_owned();
            if is_secret_or_was(&sending.left_out, &name, value) {
                left_out.push(name);
            } else {
                headers.push((name, Octets::from(value.as_bytes())));
            }
        }
        left_out.sort_unstable();
        left_out.dedup();
        Self {
            version: VERSION,
            key: sending.key.as_str().to_owned(),
            method: sending.method.as_str().to_owned(),
            url: url.into(),
            headers,
            left_out,
            body: match sending.body {
                Kept::Nothing => WireBody::None,
                Kept::Bytes(bytes) => WireBody::Kept(Octets::from(&*bytes)),
                Kept::Stream => WireBody::Stream,
            },
            first_sent: sending.lifetime.first_sent,
            until: sending.lifetime.until,
        }
    }
}

/// What was a secret once stays one, whoever puts it back.
fn is_secret_or_was(left_out: &[HeaderName], name: &str, value: &HeaderValue) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| left_out.contains(&name) || is_secret(&name, value))
}

/// Why what was written cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("version {0} of a request that was kept; this release reads {VERSION}")]
    Version(u16),
    #[error("a request that was kept holds no readable {0}")]
    Part(&'static str),
}

impl TryFrom<Wire> for OutgoingRequest {
    type Error = Unreadable;

    fn try_from(wire: Wire) -> Result<Self, Unreadable> {
        if wire.version != VERSION {
            return Err(Unreadable::Version(wire.version));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in wire.headers {
            let value =
                HeaderValue::from_bytes(&value.into_bytes()?).map_err(|_| Unreadable::Part("header"))?;
            headers.append(header_name(&name)?, value);
        }
        Ok(Self {
            key: ClientKey::new(wire.key).map_err(|_| Unreadable::Part("key"))?,
            method: Method::from_bytes(wire.method.as_bytes()).map_err(|_| Unreadable::Part("method"))?,
            url: Url::parse(&wire.url).map_err(|_| Unreadable::Part("URL"))?,
            headers,
            left_out: wire.left_out.iter().map(|name| header_name(name)).collect::<Result<_, _>>()?,
            body: match wire.body {
                WireBody::None => Kept::Nothing,
                WireBody::Kept(bytes) => Kept::Bytes(Bytes::from(bytes.into_bytes()?)),
                WireBody::Stream => Kept::Stream,
            },
            lifetime: Lifetime { first_sent: wire.first_sent, until: wire.until },
        })
    }
}

fn header_name(name: &str) -> Result<HeaderName, Unreadable> {
    HeaderName::try_from(name).map_err(|_| Unreadable::Part("header's name"))
}
