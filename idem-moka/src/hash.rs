//! One keyed hash for each call, with which everything is looked up: shard, map, cache, expiry index.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use idem_core::Key;
use moka::Equivalent;

/// A key and its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HashedKey {
    hash: u64,
    key: Key,
}

impl HashedKey {
    /// The secret in `state` keeps clients from choosing keys that meet in one place.
    pub(crate) fn new(state: &RandomState, key: &Key) -> Self {
        let mut hasher = state.build_hasher();
        // Past the scope's prefix. These 16 bytes of a BLAKE3 digest stand for all that the key was made of,
        // and no two keys are known that share them.
        hasher.write(&key.storage_key()[16..32]);
        Self { hash: hasher.finish(), key: *key }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle(self.hash)
    }

    #[cfg(test)]
    pub(crate) fn with_hash(hash: u64, key: Key) -> Self {
        Self { hash, key }
    }
}

impl Hash for HashedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

/// The hash alone: finds *a* record with that hash, practically always the one that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handle(u64);

impl Handle {
    /// Which of `shards` it belongs to. Taken from bits that neither map uses to find a place among
    /// fewer than 2^32.
    pub(crate) fn shard(self, shards: usize) -> usize {
        let part = ((self.0 >> 32) & 0xFFFF) as usize;
        part % shards
    }
}

impl Hash for Handle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<HashedKey> for Handle {
    fn equivalent(&self, key: &HashedKey) -> bool {
        self.0 == key.hash
    }
}

/// Takes the hash that the key brings along.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AsItIs(u64);

pub(crate) type BuildAsItIs = BuildHasherDefault<AsItIs>;

impl Hasher for AsItIs {
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
