//! Digests over length-prefixed parts, the one recipe behind keys and fingerprints.

use std::fmt;

/// BLAKE3 over a tag and parts, each preceded by its length as 8 little-endian bytes,
/// so that no two lists of parts run together into the same bytes.
pub(crate) struct PartsHasher(blake3::Hasher);

impl PartsHasher {
    pub(crate) fn new(tag: &[u8]) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.part(tag);
        hasher
    }

    pub(crate) fn part(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(crate) fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

pub(crate) fn parts_digest<const N: usize>(tag: &[u8], parts: [&[u8]; N]) -> [u8; 32] {
    let mut hasher = PartsHasher::new(tag);
    for part in parts {
        hasher.part(part);
    }
    hasher.finish()
}

/// The first 6 bytes in hexadecimal: enough to find a value again in a log. Whoever can guess the value can
/// confirm the guess, so it hides a random key, not an order number.
pub(crate) struct ShortDigest<'a>(pub(crate) &'a [u8]);

impl fmt::Display for ShortDigest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
