//! Converts a request to its serialized form, and back.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::request::kept_body::KeptBody;
use crate::request::key::ClientKey;
use crate::request::lifetime::Lifetime;
use crate::request::outgoing_request::OutgoingRequest;
use crate::request::secrets::is_secret;
use crate::request::wire::{Octets, Unreadable, VERSION, Wire, WireBody};

impl From<OutgoingRequest> for Wire {
    fn from(request: OutgoingRequest) -> Self {
        let mut url = request.url;
        // reqwest has already moved user and password into a header. Neither call fails for a URL that can have them.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        let mut left_out: Vec<_> = request.left_out.iter().map(|name| name.as_str().to_owned()).collect();
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            let name = name.as_str().to_owned();
            if is_secret_or_was(&request.left_out, &name, value) {
                left_out.push(name);
            } else {
                headers.push((name, Octets::from(value.as_bytes())));
            }
        }
        left_out.sort_unstable();
        left_out.dedup();
        Self {
            version: VERSION,
            key: request.key.as_str().to_owned(),
            method: request.method.as_str().to_owned(),
            url: url.into(),
            headers,
            left_out,
            body: match request.body {
                KeptBody::Nothing => WireBody::None,
                KeptBody::Bytes(bytes) => WireBody::Kept(Octets::from(&*bytes)),
                KeptBody::Stream => WireBody::Stream,
            },
            first_sent: request.lifetime.first_sent,
            until: request.lifetime.until,
        }
    }
}

/// Whether a header is secret. One that was left out before stays secret, even when it was put back.
fn is_secret_or_was(left_out: &[HeaderName], name: &str, value: &HeaderValue) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| left_out.contains(&name) || is_secret(&name, value))
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
                WireBody::None => KeptBody::Nothing,
                WireBody::Kept(bytes) => KeptBody::Bytes(Bytes::from(bytes.into_bytes()?)),
                WireBody::Stream => KeptBody::Stream,
            },
            lifetime: Lifetime { first_sent: wire.first_sent, until: wire.until },
        })
    }
}

fn header_name(name: &str) -> Result<HeaderName, Unreadable> {
    HeaderName::try_from(name).map_err(|_| Unreadable::Part("header's name"))
}
