//! Digests over length-prefixed parts, the one recipe behind keys and fingerprints.

use std::fmt;

use arrayvec::ArrayVec;

/// How many bytes are gathered before they are hashed: one chunk of BLAKE3. Hashing them together takes a fraction of
/// the time that feeding the hasher in small pieces takes.
const AT_ONCE: usize = 1_024;

/// BLAKE3 over a tag and parts, each preceded by its length as 8 little-endian bytes,
/// so that no two lists of parts run together into the same bytes.
pub(crate) struct PartsHasher {
    /// What has not been given to the hasher.
    small: ArrayVec<u8, AT_ONCE>,
    hasher: Option<Box<blake3::Hasher>>,
}

impl PartsHasher {
    /// A hasher without parts.
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { small: ArrayVec::new_const(), hasher: None }
    }

    /// Gathers small parts, because each call of the hasher has a cost.
    pub(crate) fn part(&mut self, part: &[u8]) {
        for bytes in [&(part.len() as u64).to_le_bytes()[..], part] {
            if self.small.try_extend_from_slice(bytes).is_err() {
                self.hash_gathered().update(bytes);
            }
        }
    }

    /// Hashes what is gathered.
    fn hash_gathered(&mut self) -> &mut blake3::Hasher {
        let hasher = self.hasher.get_or_insert_with(|| Box::new(blake3::Hasher::new()));
        hasher.update(&self.small);
        self.small.clear();
        hasher
    }

    /// The digest. Borrows the hasher, which is too large to be moved without need.
    pub(crate) fn finish(&mut self) -> [u8; 32] {
        match &mut self.hasher {
            None => *blake3::hash(&self.small).as_bytes(),
            Some(_) => *self.hash_gathered().finalize().as_bytes(),
        }
    }
}

pub(crate) fn parts_digest<const N: usize>(tag: &[u8], parts: [&[u8]; N]) -> [u8; 32] {
    let mut hasher = PartsHasher::new();
    hasher.part(tag);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_how_it_is_fed() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        for first in [0, 1, 200, 989, 990, 996, 997, 998, 1_004, 1_005, 1_006, 1_024, 3_000] {
            for second in [0, 1, 24, 1_015, 1_016, 1_017, 1_024, 1_025, 2_000] {
                let (first, second) = (&bytes[..first], &bytes[first..][..second]);
                let mut plain = Vec::new();
                for part in [b"tag", first, second, b"end"] {
                    plain.extend_from_slice(&(part.len() as u64).to_le_bytes());
                    plain.extend_from_slice(part);
                }
                let digest = parts_digest(b"tag", [first, second, b"end"]);
                assert_eq!(digest, *blake3::hash(&plain).as_bytes(), "{} {}", first.len(), second.len());
            }
        }
    }
}
