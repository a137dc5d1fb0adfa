//! The store's high-water mark: its time and sequences, so that neither runs backwards after a restart.
//!
//! It is kept at the end of the locks' expiry index, on the page to which the notes of new locks go, and every commit
//! writes it. An opening reads the mark and nothing else.

use idem_core::backend::codec::checksum;
use idem_core::backend::{ClockMark, StoreClock};
use idem_core::clock::{SharedClock, Timestamp};
use idem_core::{Key, Result};

use crate::config::RedbConfig;

const COVERED: usize = 24;
const LEN: usize = COVERED + 8;
/// Seeds the checksum. It is no key's digest: finding one that is all zeros means breaking BLAKE3.
const SEED: [u8; Key::STORAGE_LEN] = [0; Key::STORAGE_LEN];

/// The store's time, the highest reading of the wall clock, and the highest sequence at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HighWaterMark {
    pub(crate) time: Timestamp,
    /// Zero where none was written yet: in a store of version 1, and in a new one.
    pub(crate) wall: Timestamp,
    pub(crate) sequence: u64,
}

impl HighWaterMark {
    pub(crate) fn new(clock: ClockMark, sequence: u64) -> Self {
        Self { time: clock.time, wall: clock.wall, sequence }
    }

    /// Resumes the store's clock from this mark.
    ///
    /// # Errors
    /// When the wall clock is further ahead than the configuration accepts.
    pub(crate) fn resume(self, clock: SharedClock, config: &RedbConfig) -> Result<StoreClock> {
        if self.time == Timestamp::default() {
            return Ok(StoreClock::start(clock));
        }
        StoreClock::resume(clock, self.clock(), config.max_clock_jump)
    }

    pub(crate) fn clock(self) -> ClockMark {
        // Version 1 did not record the wall clock: whenever it was opened, its time was that of the wall clock.
        let wall = if self.wall == Timestamp::default() { self.time } else { self.wall };
        ClockMark { time: self.time, wall }
    }

    pub(crate) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.time.as_micros().to_be_bytes());
        bytes[8..16].copy_from_slice(&self.wall.as_micros().to_be_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_be_bytes());
        let sum = sum(&bytes[..COVERED]);
        bytes[COVERED..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Checked like a record: a time far in the future would expire everything.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [time, wall, sequence, stored] = <[[u8; 8]; 4]>::try_from(bytes.as_chunks().0).ok()?;
        let whole = bytes.len() == LEN && u64::from_be_bytes(stored) == sum(&bytes[..COVERED]);
        let [time, wall, sequence] = [time, wall, sequence].map(u64::from_be_bytes);
        let (time, wall) = (Timestamp::from_micros(time), Timestamp::from_micros(wall));
        whole.then_some(Self { time, wall, sequence })
    }
}

/// The checksum of a mark's fields, in this version and in version 1.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    checksum(&Key::from_storage_key(SEED), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_mark_is_none() {
        let mark =
            HighWaterMark { time: Timestamp::from_micros(7), wall: Timestamp::from_micros(8), sequence: 9 };
        let bytes = mark.to_bytes();
        assert_eq!(HighWaterMark::from_bytes(&bytes), Some(mark));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(HighWaterMark::from_bytes(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(HighWaterMark::from_bytes(&bytes[..length]), None, "length {length}");
        }
    }
}
