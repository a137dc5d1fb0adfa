//! The key of one operation.

use std::fmt;

use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use sfv::{BareItem, Item, ItemSerializer, Parser, StringRef};

const MAX_LENGTH: usize = 255;
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A key: 1 to 255 characters of printable ASCII. It is the same for all attempts of one operation, and differs from those of
/// all other operations.
///
/// Every answer to a request with a key carries that key as an extension: `answer.extensions().get::<ClientKey>()`. So the
/// key is known even when the body of that answer breaks off.
///
/// `Debug` does not show the key: whoever knows it may be able to ask for its answer.
///
/// ```
/// use idem_client::ClientKey;
///
/// let own = ClientKey::new("order-17")?;
/// assert_eq!(own.as_str(), "order-17");
/// assert_ne!(ClientKey::random(), ClientKey::random());
/// assert!(ClientKey::new("").is_err());
/// # Ok::<(), idem_client::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientKey(Box<str>);

/// Why a key was refused.
///
/// ```
/// use idem_client::{ClientKey, KeyError};
///
/// assert_eq!(ClientKey::new("clé"), Err(KeyError::Invalid));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A text that cannot be a key: it is empty, longer than 255 characters, or not printable ASCII.
    #[error("a key has 1 to {MAX_LENGTH} characters of printable ASCII")]
    Invalid,
    /// The request has more than one key, counting both `Idempotency-Key` and the header that the client is configured with.
    #[error("a request has one key, and this one has two")]
    Two,
}

impl ClientKey {
    /// A key of the application's own: for example the number of an order, or a key that was persisted.
    ///
    /// # Errors
    /// [`KeyError::Invalid`].
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
        if text.is_empty() || text.len() > MAX_LENGTH || !printable {
            return Err(KeyError::Invalid);
        }
        Ok(Self(text.into()))
    }

    /// A UUID of version 4, from the random source of the system.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The key as text, in the form in which to keep it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as a String of RFC 9651, in quotes.
    fn to_value(&self) -> Result<HeaderValue, KeyError> {
        let text = StringRef::from_str(&self.0).map_err(|_| KeyError::Invalid)?;
        HeaderValue::try_from(ItemSerializer::new().bare_item(text).finish()).map_err(|_| KeyError::Invalid)
    }

    /// The key in a request's header, in quotes or bare. `None` for anything else, which is left for the server to refuse.
    pub(crate) fn of(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        if bytes.first() != Some(&b'"') {
            return Self::new(std::str::from_utf8(bytes).ok()?).ok();
        }
        match Parser::new(bytes).parse::<Item>().ok()?.bare_item {
            BareItem::String(text) => Self::new(text.as_str()).ok(),
            _ => None,
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({} characters)", self.0.len())
    }
}

/// Gives `request` this key: one that was persisted, or the application's own. The client then makes no key.
///
/// The key is put into the header `Idempotency-Key`. A client that is configured with
/// [another header](crate::IdempotentClient::header) moves it there.
///
/// The request must be the same as the first one that was sent with this key: a server answers a different one with 422. To
/// send a request that this crate kept, use [`resume`](crate::IdempotentClient::resume) instead, which does not keep it twice.
///
/// ```
/// use idem_client::{ClientKey, with_key};
///
/// let mut request = reqwest::Client::new().post("https://api.example/payments").build()?;
/// with_key(&mut request, &ClientKey::new("order-17")?)?;
/// assert_eq!(request.headers()["idempotency-key"], "\"order-17\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`KeyError::Two`] when the request has a key in that header already. It keeps the key that it has.
pub fn with_key(request: &mut Request, key: &ClientKey) -> Result<(), KeyError> {
    if request.headers().contains_key(HEADER) {
        return Err(KeyError::Two);
    }
    request.headers_mut().insert(HEADER, key.to_value()?);
    Ok(())
}

/// Whether `request` carries a key, in `header` or in `Idempotency-Key`.
pub(crate) fn carries_key(request: &Request, header: &HeaderName) -> bool {
    request.headers().contains_key(header) || request.headers().contains_key(HEADER)
}

/// Makes sure that `request` has a key in `header`, its own or a new one, and returns the key. `None` when its own key cannot
/// be read.
pub(crate) fn ensure_key(request: &mut Request, header: &HeaderName) -> Result<Option<ClientKey>, KeyError> {
    let headers = request.headers_mut();
    let in_default = if *header == HEADER { None } else { headers.get(HEADER).cloned() };
    let elsewhere = if in_default.is_some() { headers.get_all(HEADER).iter().count() } else { 0 };
    match headers.get_all(header).iter().count() + elsewhere {
        0 => {
            let key = ClientKey::random();
            headers.insert(header.clone(), key.to_value()?);
            Ok(Some(key))
        }
        1 => {
            if let Some(own) = in_default {
                headers.remove(HEADER);
                headers.insert(header.clone(), own);
            }
            Ok(headers.get(header).and_then(ClientKey::of))
        }
        _ => Err(KeyError::Two),
    }
}
