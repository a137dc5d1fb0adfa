//! What one caller needs: fresh keys, claims, and the bytes of outcomes and records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use idem_core::backend::codec::{ChecksumScope, encode};
use idem_core::clock::Timestamp;
use idem_core::record::{Completion, Locked, Record, State};
use idem_core::{Claim, Fingerprint, Key, Outcome, Owner, Token};

use crate::load::workload::{LEASE, RETENTION, Workload};
use crate::result::Result;

/// The bytes of one step, the same for both sides.
#[derive(Debug)]
pub struct Payload {
    /// The outcome that `complete` is given.
    pub outcome: Bytes,
    /// Bytes as long as idem's record of a locked key.
    pub lock_record: Arc<[u8]>,
    /// Bytes as long as idem's record of a key that is completed with `outcome`.
    pub outcome_record: Arc<[u8]>,
}

impl Payload {
    /// The payload for outcomes of this many bytes.
    pub fn new(bytes: usize) -> Result<Self> {
        let outcome = outcome(bytes);
        let (fingerprint, as_of) = (fingerprint(), Timestamp::default());
        let token = Token { sequence: 1, owner: Owner::from_bytes([1; 16]) };
        let length_as = |state| -> Result<Arc<[u8]>> {
            let record = Record { fingerprint, token, attempt: 1, state, as_of };
            Ok(encode(&Fresh::new().key(), &record, ChecksumScope::Whole)?.into())
        };
        let locked = Locked { held: true, deadline: as_of + LEASE, retention: RETENTION, checkpoint: None };
        let completed = Completion {
            outcome: Outcome::Value(outcome.clone()),
            completed_at: as_of,
            expires_at: as_of + RETENTION,
        };
        Ok(Self {
            outcome,
            lock_record: length_as(State::Locked(locked))?,
            outcome_record: length_as(State::Completed(completed))?,
        })
    }
}

/// An outcome of its own allocation.
pub(crate) fn outcome(bytes: usize) -> Bytes {
    Bytes::from(vec![0xA5; bytes])
}

/// The fingerprint of every request of the benches.
pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([7; 32])
}

/// Keys and owners that are new in this process. They are spread like digests and cheap to make, so that making them
/// costs neither side time.
#[derive(Debug)]
pub struct Fresh {
    series: u64,
    next: u64,
}

impl Fresh {
    /// A series of its own.
    #[must_use]
    pub fn new() -> Self {
        static SERIES: AtomicU64 = AtomicU64::new(1);
        Self { series: SERIES.fetch_add(1, Ordering::Relaxed), next: 0 }
    }

    /// The next key.
    pub fn key(&mut self) -> Key {
        self.next += 1;
        key_of(self.series, self.next)
    }

    /// The key at `place` in this series.
    pub(crate) fn key_at(&self, place: u64) -> Key {
        key_of(self.series, place)
    }

    fn owner(&mut self) -> Owner {
        self.next += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.series.to_le_bytes());
        bytes[8..].copy_from_slice(&self.next.to_le_bytes());
        Owner::from_bytes(bytes)
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self::new()
    }
}

/// One caller of a round.
pub(crate) struct Caller {
    pub(crate) payload: Arc<Payload>,
    pub(crate) mix: Mix,
    fresh: Fresh,
    storm: Arc<Storm>,
    /// The state of the random generator.
    random: u64,
}

impl Caller {
    pub(crate) fn new(payload: Arc<Payload>, storm: Arc<Storm>) -> Self {
        let fresh = Fresh::new();
        Self { payload, mix: Mix::default(), random: mixed(fresh.series) | 1, fresh, storm }
    }

    pub(crate) fn fresh_key(&mut self) -> Key {
        self.fresh.key()
    }

    pub(crate) fn claim(&mut self) -> Claim {
        Claim { owner: self.fresh.owner(), lease: LEASE, retention: RETENTION }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::Value(self.payload.outcome.clone())
    }

    /// One of `keys`, at random.
    pub(crate) fn pick<'a>(&mut self, keys: &'a [Key]) -> &'a Key {
        // Marsaglia's xorshift64.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the number are random enough")]
        let place = self.random as usize % keys.len();
        &keys[place]
    }

    /// The retry storm that this caller takes part in.
    pub(crate) fn storm(&self) -> &Storm {
        &self.storm
    }
}

/// A retry storm: the keys that all callers of a round contend for, one after the other.
#[derive(Default)]
pub(crate) struct Storm {
    fresh: Fresh,
    replays: AtomicU64,
    begun: AtomicU64,
}

impl Storm {
    /// The current key.
    pub(crate) fn key(&self) -> Key {
        self.fresh.key_at(self.place())
    }

    /// Notes that a step was answered with the outcome.
    pub(crate) fn replayed(&self) {
        self.replays.fetch_add(1, Ordering::Relaxed);
    }

    /// The current key, and whether this caller has to begin it. For the bare side, where no store decides that.
    pub(crate) fn key_to_begin(&self) -> (Key, bool) {
        let place = self.place();
        // Read first: only one step of a key needs to write.
        let first = self.begun.load(Ordering::Relaxed) <= place
            && self.begun.fetch_max(place + 1, Ordering::Relaxed) <= place;
        (self.fresh.key_at(place), first)
    }

    fn place(&self) -> u64 {
        self.replays.load(Ordering::Relaxed) / Workload::REPLAYS_PER_KEY
    }
}

/// The answers to the `lock`s of a storm.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mix {
    pub(crate) acquired: u64,
    pub(crate) in_progress: u64,
    pub(crate) completed: u64,
}

impl Mix {
    pub(crate) fn add(&mut self, other: Self) {
        self.acquired += other.acquired;
        self.in_progress += other.in_progress;
        self.completed += other.completed;
    }
}

/// One scope's prefix, then 32 bytes of which the last 16 alone make the key unique.
fn key_of(series: u64, place: u64) -> Key {
    let mut bytes = [0x5A; Key::STORAGE_LEN];
    let (series, place) = (mixed(series), mixed(place));
    bytes[16..24].copy_from_slice(&mixed(series ^ place.rotate_left(32)).to_le_bytes());
    bytes[24..32].copy_from_slice(&mixed(series.wrapping_add(place)).to_le_bytes());
    bytes[32..40].copy_from_slice(&place.to_le_bytes());
    bytes[40..].copy_from_slice(&series.to_le_bytes());
    Key::from_storage_key(bytes)
}

/// The finalizer of `SplitMix64`, which maps one to one.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fresh_keys_never_repeat_and_spread_over_the_first_bytes() {
        let mut series = [Fresh::new(), Fresh::new()];
        let keys: HashSet<Key> = (0..2_000).map(|turn| series[turn % 2].key()).collect();
        let leading: HashSet<u8> = keys.iter().map(|key| key.storage_key()[23]).collect();
        assert_eq!(keys.len(), 2_000);
        assert!(leading.len() > 200, "{}", leading.len());
    }

    #[test]
    fn bare_records_are_as_long_as_those_of_the_codec() {
        let payload = Payload::new(1_024).unwrap();
        assert!(payload.outcome_record.len() > 1_024 + payload.lock_record.len() - 8);
        assert!(payload.outcome_record.len() < 1_024 + payload.lock_record.len() + 16);
    }

    #[test]
    fn storm_moves_to_the_next_key_after_enough_replays() {
        let storm = Storm::default();
        let first = storm.key();
        (1..Workload::REPLAYS_PER_KEY).for_each(|_| storm.replayed());
        assert_eq!(storm.key(), first);
        storm.replayed();
        assert_ne!(storm.key(), first);
    }

    #[test]
    fn each_key_of_a_storm_is_begun_once() {
        let storm = Storm::default();
        for _ in 0..2 {
            let key = storm.key();
            assert_eq!([storm.key_to_begin(), storm.key_to_begin()], [(key, true), (key, false)]);
            (0..Workload::REPLAYS_PER_KEY).for_each(|_| storm.replayed());
        }
    }
}
