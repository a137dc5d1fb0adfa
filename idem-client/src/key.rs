//! The key of one operation.

use std::fmt;

use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use sfv::{BareItem, Item, ItemSerializer, Parser, StringRef};

const LONGEST: usize = 255;
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A key: 1 to 255 characters of printable ASCII, the same for all sendings of one operation, and for no other.
///
/// `Debug` does not show it: whoever knows a key may be able to ask for its answer.
///
/// ```
/// use idem_client::ClientKey;
///
/// let own = ClientKey::new("order-17")?;
/// assert_eq!(own.as_str(), "order-17");
/// assert_ne!(ClientKey::random(), ClientKey::random());
/// assert!(ClientKey::new("").is_err());
/// # Ok::<(), idem_client::InvalidKey>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientKey(Box<str>);

/// A text that cannot be a key: empty, longer than 255 characters, or other than printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {LONGEST} characters of printable ASCII")]
#[non_exhaustive]
pub struct InvalidKey;

impl ClientKey {
    /// A key of the application's own: the number of an order, say, or one that was persisted.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
        if text.is_empty() || text.len() > LONGEST || !printable {
            return Err(InvalidKey);
        }
        Ok(Self(text.into()))
    }

    /// A UUID of version 4, from the system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The key, as it is to be kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a String of RFC 9651, in quotes.
    pub(crate) fn to_value(&self) -> Result<HeaderValue, InvalidKey> {
        let text = StringRef::from_str(&self.0).map_err(|_| InvalidKey)?;
        HeaderValue::try_from(ItemSerializer::new().bare_item(text).finish()).map_err(|_| InvalidKey)
    }

    /// What a request carries already, in quotes or bare. What is neither is left for the server to refuse.
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

/// Gives `request` this key, in the header `Idempotency-Key`: one that was persisted, or the application's own. The
/// client then makes none.
///
/// It must be the same request as the first that was sent with it: a server answers another one with 422.
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
/// None for a key that was made by this crate.
pub fn with_key(request: &mut Request, key: &ClientKey) -> Result<(), InvalidKey> {
    request.headers_mut().insert(HEADER, key.to_value()?);
    Ok(())
}
