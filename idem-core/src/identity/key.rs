//! Whose key it is, and the fixed-length digest under which a store keeps it.

use std::fmt;
use std::sync::LazyLock;

use super::digest::{ShortDigest, parts_digest};
use crate::error::{Error, ErrorKind, Operation, Result};

const MAX_SCOPE: usize = 255;
const MAX_CLIENT_KEY: usize = 255;
const SCOPE_TAG: &[u8] = b"idem scope 1";
const KEY_TAG: &[u8] = b"idem key 1";

/// Whose key it is: tenant, account, route. Two scopes never share a key.
///
/// A scope is required because clients choose their keys, and a key must not reach another client's answer. An
/// application with one tenant says so with [`Scope::shared`].
///
/// ```
/// use idem_core::{Key, Scope};
///
/// let alice = Key::new(&Scope::new("account:alice")?, "order-1")?;
/// let bob = Key::new(&Scope::new("account:bob")?, "order-1")?;
/// assert_ne!(alice, bob);
/// # Ok::<(), idem_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    bytes: Box<[u8]>,
    prefix: [u8; Self::PREFIX_LEN],
}

impl Scope {
    /// Length of its [prefix](Scope::prefix) in bytes.
    pub const PREFIX_LEN: usize = 16;

    /// A scope of 1 to 255 bytes, any bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when it is longer, or empty: an empty text is more often a missing tenant than a wish
    /// to share keys between all tenants. An application with one tenant says so with [`Scope::shared`].
    pub fn new(scope: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = scope.as_ref();
        if bytes.is_empty() {
            let message = "the scope is empty, it needs 1 to 255 bytes; for one that all callers share: Scope::shared()";
            return Err(invalid(message.to_owned()));
        }
        if bytes.len() > MAX_SCOPE {
            return Err(invalid(format!(
                "the scope has {} bytes, at most {MAX_SCOPE} are allowed",
                bytes.len()
            )));
        }
        Ok(Self::from_checked(bytes))
    }

    /// The one scope of an application that has one tenant: every caller shares its keys.
    #[must_use]
    pub fn shared() -> Self {
        // Kept, because most applications with one tenant ask for it with each request.
        static SHARED: LazyLock<Scope> = LazyLock::new(|| Scope::from_checked(&[]));
        SHARED.clone()
    }

    /// The first bytes of the storage keys of this scope, and of no other scope. See [`Key::scope_prefix`].
    #[must_use]
    pub fn prefix(&self) -> [u8; Self::PREFIX_LEN] {
        self.prefix
    }

    fn from_checked(bytes: &[u8]) -> Self {
        let digest = parts_digest(SCOPE_TAG, [bytes]);
        let mut prefix = [0; Self::PREFIX_LEN];
        prefix.copy_from_slice(&digest[..Self::PREFIX_LEN]);
        Self { bytes: bytes.into(), prefix }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", ShortDigest(&self.prefix))
    }
}

/// One operation that must happen once: a scope and the idempotency key that the client chose.
///
/// A `Key` holds the digest only, so neither `Debug` nor a log nor a store can show what the client sent.
///
/// ```
/// use idem_core::{Key, Scope};
///
/// let key = Key::new(&Scope::new("tenant-7")?, "8e03978e-40d5-43dd-bc93-6894a57f9324")?;
/// assert_eq!(key.storage_key().len(), 48);
/// # Ok::<(), idem_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    storage: [u8; Key::STORAGE_LEN],
}

impl Key {
    /// Length of a storage key in bytes: 16 from the scope, then 32 from scope and client key.
    pub const STORAGE_LEN: usize = 48;

    /// The key of one operation: `client_key` is 1 to 255 bytes of printable ASCII (0x20 to 0x7E).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] for anything else; nothing is trimmed, folded or cut.
    pub fn new(scope: &Scope, client_key: impl AsRef<[u8]>) -> Result<Self> {
        let client_key = client_key.as_ref();
        check_client_key(client_key)?;
        let digest = parts_digest(KEY_TAG, [&scope.bytes[..], client_key]);
        let mut storage = [0; Self::STORAGE_LEN];
        storage[..Scope::PREFIX_LEN].copy_from_slice(&scope.prefix);
        storage[Scope::PREFIX_LEN..].copy_from_slice(&digest);
        Ok(Self { storage })
    }

    /// The bytes under which a store keeps the record.
    ///
    /// They have a fixed length and consist of digests, so a client can inject no separator, choose no hash tag of
    /// Redis, and put no text of its own into a key. All keys of one scope share the first 16 bytes, so one tenant's
    /// records are one range.
    #[must_use]
    pub fn storage_key(&self) -> &[u8; Self::STORAGE_LEN] {
        &self.storage
    }

    /// The part of the storage key that all keys of the scope share, and keys of no other scope have:
    /// [`Scope::prefix`]. A store that counts what a scope holds counts by this prefix.
    ///
    /// ```
    /// use idem_core::{Key, Scope};
    ///
    /// let scope = Scope::new("tenant-7")?;
    /// assert_eq!(Key::new(&scope, "one")?.scope_prefix(), scope.prefix());
    /// # Ok::<(), idem_core::Error>(())
    /// ```
    #[must_use]
    pub fn scope_prefix(&self) -> [u8; Scope::PREFIX_LEN] {
        let mut prefix = [0; Scope::PREFIX_LEN];
        prefix.copy_from_slice(&self.storage[..Scope::PREFIX_LEN]);
        prefix
    }

    /// A key read back from a store.
    #[must_use]
    pub fn from_storage_key(storage: [u8; Self::STORAGE_LEN]) -> Self {
        Self { storage }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// A short digest, for logs: enough to find a key again, not to guess it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ShortDigest(&self.storage[Scope::PREFIX_LEN..]))
    }
}

fn check_client_key(client_key: &[u8]) -> Result<()> {
    if client_key.is_empty() {
        return Err(invalid(format!("the client key is empty, it needs 1 to {MAX_CLIENT_KEY} bytes")));
    }
    if client_key.len() > MAX_CLIENT_KEY {
        return Err(invalid(format!(
            "the client key has {} bytes, at most {MAX_CLIENT_KEY} are allowed",
            client_key.len()
        )));
    }
    match client_key.iter().position(|byte| !(0x20..=0x7E).contains(byte)) {
        None => Ok(()),
        Some(at) => Err(invalid(format!(
            "byte {at} of the client key is 0x{:02x}, only printable ASCII (0x20 to 0x7E) is allowed",
            client_key[at]
        ))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidKey, Operation::Build, message)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn scope_and_client_key_cannot_be_shifted_into_one_another() {
        let one = Key::new(&Scope::new("ab").unwrap(), "c").unwrap();
        let other = Key::new(&Scope::new("a").unwrap(), "bc").unwrap();
        assert_ne!(one, other);
    }

    #[test]
    fn keys_of_one_scope_share_their_first_sixteen_bytes() {
        let scope = Scope::new("tenant").unwrap();
        let (one, two) = (Key::new(&scope, "1").unwrap(), Key::new(&scope, "2").unwrap());
        assert_eq!(one.storage_key()[..16], two.storage_key()[..16]);
        assert_ne!(one.storage_key()[16..], two.storage_key()[16..]);
    }

    #[test]
    fn client_key_limits_are_exact() {
        let shared = Scope::shared();
        for accepted in ["a".to_owned(), " ".to_owned(), "~".repeat(255)] {
            assert!(Key::new(&shared, &accepted).is_ok(), "{accepted:?}");
        }
        for refused in
            [String::new(), "a".repeat(256), "a\u{7f}".to_owned(), "a\n".to_owned(), "ä".to_owned()]
        {
            assert_eq!(Key::new(&shared, &refused).unwrap_err().kind(), ErrorKind::InvalidKey, "{refused:?}");
        }
    }

    #[test]
    fn scope_limits_are_exact() {
        assert_eq!(Scope::new("").unwrap_err().kind(), ErrorKind::InvalidKey);
        assert!(Scope::new("a").is_ok());
        assert!(Scope::new([0xFF; 255]).is_ok());
        assert_eq!(Scope::new([b'a'; 256]).unwrap_err().kind(), ErrorKind::InvalidKey);
    }

    #[test]
    fn debug_shows_a_digest_only() {
        let scope = Scope::new("secret-tenant").unwrap();
        let shown = format!("{scope:?} {:?}", Key::new(&scope, "secret-key").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
