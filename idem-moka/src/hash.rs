//! One keyed hash for each call, which finds the shard, and the entry in maps, cache and expiry index.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use idem_core::Key;
use moka::Equivalent;

/// Makes the hashes of one store.
///
/// Keys are digests already, so one multiplication spreads them; the secret keeps clients from choosing keys that
/// collide. (`SipHash` is as safe and took 30 ns more for each call.)
#[derive(Clone)]
pub(crate) struct KeyHash {
    secret: [u64; 2],
}

impl KeyHash {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self { secret: [random.hash_one(0), random.hash_one(1)] }
    }

    pub(crate) fn hashed(&self, key: &Key) -> HashedKey {
        // Behind the scope's prefix: 16 bytes of the digest of scope and client key.
        let digest = &key.storage_key()[16..];
        Hashed { hash: self.folded(half(digest, 0), half(digest, 8)), key: *key }
    }

    pub(crate) fn hashed_scope(&self, id: [u8; 16]) -> Hashed<[u8; 16]> {
        Hashed { hash: self.folded(half(&id, 0), half(&id, 8)), key: id }
    }

    fn folded(&self, one: u64, other: u64) -> u64 {
        let product = u128::from(one ^ self.secret[0]) * u128::from(other ^ self.secret[1]);
        #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are taken")]
        let hash = (product >> 64) as u64 ^ product as u64;
        hash
    }
}

fn half(digest: &[u8], from: usize) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&digest[from..from + 8]);
    u64::from_le_bytes(half)
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHash").finish_non_exhaustive()
    }
}

/// A key of type `K`, and its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hashed<K> {
    hash: u64,
    key: K,
}

/// A key and its hash.
pub(crate) type HashedKey = Hashed<Key>;

impl<K> Hashed<K> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn hash_value(&self) -> KeyHashValue {
        KeyHashValue(self.hash)
    }

    /// A key of a chosen hash, such as that of another key.
    #[cfg(test)]
    pub(crate) fn with_hash(hash: u64, key: K) -> Self {
        Self { hash, key }
    }
}

impl<K> Hash for Hashed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: fmt::Debug> fmt::Debug for Hashed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

/// The hash alone: finds *a* record with that hash, practically always the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyHashValue(u64);

impl KeyHashValue {
    /// Which of `places` it belongs to. Taken from bits that the maps do not use: these find one of fewer than 2^32
    /// places by the lower bits, and moka finds a segment by the uppermost.
    pub(crate) fn spread(self, places: usize) -> usize {
        ((self.0 >> 32) & 0xFF_FFFF) as usize % places
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl Hash for KeyHashValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// moka can find an entry by a value that is `Equivalent` to its key.
impl Equivalent<HashedKey> for KeyHashValue {
    fn equivalent(&self, key: &HashedKey) -> bool {
        self.0 == key.hash
    }
}

/// Returns the hash that is stored in the key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prehashed(u64);

pub(crate) type BuildPrehashed = BuildHasherDefault<Prehashed>;

impl Hasher for Prehashed {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;

    use idem_core::Scope;

    use super::*;

    #[test]
    fn hashes_differ_from_store_to_store_and_spread_evenly() {
        let (one, other) = (KeyHash::new(), KeyHash::new());
        let keys: Vec<_> =
            (0..10_000).map(|number| Key::new(&Scope::shared(), number.to_string()).unwrap()).collect();
        let mut found = [0_usize; 64];
        let mut hashes = HashSet::new();
        for key in &keys {
            assert_ne!(one.hashed(key), other.hashed(key));
            let hash = one.hashed(key).hash_value();
            found[hash.spread(64)] += 1;
            hashes.insert(hash.bits());
        }
        assert_eq!(hashes.len(), keys.len());
        assert!(found.iter().all(|count| (80..240).contains(count)), "{found:?}");
    }

    #[test]
    fn keys_with_the_same_hash_differ_but_share_their_hash_value() {
        let [one, other] = ["1", "2"].map(|key| Key::new(&Scope::shared(), key).unwrap());
        let (one, other) = (HashedKey::with_hash(7, one), HashedKey::with_hash(7, other));
        assert_ne!(one, other);
        assert!(one.hash_value().equivalent(&other));
    }
}
