//! What a request asks for, as 32 bytes.

use std::fmt;

use super::digest::{PartsHasher, ShortDigest};

/// A digest of what a request asks for (BLAKE3, 32 bytes).
///
/// A key that comes back with another fingerprint never gets an answer: either the client made a mistake, or somebody
/// tries to read another's answer.
///
/// Built from length-prefixed parts and a *scheme* tag that names the recipe. Change the recipe (another
/// part, another order, another canonical form) and change the tag with it: old records then show a
/// mismatch instead of a false match.
///
/// To roll out a new recipe without refusing the retries in flight, let code compute both for a while: when
/// [`lock`](crate::Store::lock) with one answers
/// [`FingerprintMismatch`](crate::LockAnswer::FingerprintMismatch), ask again with the other. First deploy
/// code that locks with the old one and then tries the new; when no older code runs any more, code that locks
/// with the new one and then tries the old; after one retention, code that knows the new one alone.
///
/// ```
/// use idem_core::Fingerprint;
///
/// let fingerprint = Fingerprint::builder("payments v1").part("POST").part("/payments").part(b"{}").finish();
/// let other = Fingerprint::builder("payments v1").part("POST").part("/payments").part(b"{ }").finish();
/// assert_ne!(fingerprint, other);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Starts a fingerprint by the recipe named `scheme`.
    pub fn builder(scheme: impl AsRef<[u8]>) -> FingerprintBuilder {
        let mut builder = FingerprintBuilder { hasher: PartsHasher::new() };
        builder.push(scheme);
        builder
    }

    /// A fingerprint read back from a store, or computed elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", ShortDigest(&self.0))
    }
}

/// Collects the parts of a [`Fingerprint`], in order.
#[must_use = "a builder does nothing until `finish`"]
pub struct FingerprintBuilder {
    hasher: PartsHasher,
}

impl FingerprintBuilder {
    /// Adds one part. An empty part counts: `("a", "")` and `("a")` differ.
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        self.push(part);
        self
    }

    /// [`part`](Self::part) on a borrowed builder, for parts that are found in a loop.
    pub fn push(&mut self, part: impl AsRef<[u8]>) {
        self.hasher.part(part.as_ref());
    }

    /// The fingerprint of the scheme and all parts.
    #[must_use]
    pub fn finish(mut self) -> Fingerprint {
        Fingerprint(self.hasher.finish())
    }
}

impl fmt::Debug for FingerprintBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FingerprintBuilder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let one = Fingerprint::builder("s").part("ab").part("c").finish();
        let other = Fingerprint::builder("s").part("a").part("bc").finish();
        let empty = Fingerprint::builder("s").part("ab").part("c").part("").finish();
        assert_ne!(one, other);
        assert_ne!(one, empty);
    }

    #[test]
    fn scheme_is_part_of_the_digest() {
        assert_ne!(
            Fingerprint::builder("v1").part("a").finish(),
            Fingerprint::builder("v2").part("a").finish()
        );
    }
}
