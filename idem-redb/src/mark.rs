//! How far the store's time and sequences have come, so that neither runs backwards after a restart.
//!
//! Kept as the first entry of the locks' table. A commit that does nothing but grant one new token leaves it as
//! it is: the token's sequence, which is the time, then tells as much, and the lone caller is spared a page.

use idem_core::codec::checksum;
use idem_core::{Key, Record, Timestamp};

/// No key's digest: to find one that is all zeros is to break BLAKE3.
pub(crate) const KEY: [u8; Key::STORAGE_LEN] = [0; Key::STORAGE_LEN];

const LEN: usize = 24;

/// The store's time and highest sequence at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) time: Timestamp,
    pub(crate) sequence: u64,
}

/// Whether `record`, written at `now` when `number` was the next sequence, tells what a mark would.
pub(crate) fn tells(record: &Record, now: Timestamp, number: u64) -> bool {
    record.token.sequence == number && number == now.as_micros()
}

impl Mark {
    /// Takes in what a record tells that was written after the mark `written`.
    pub(crate) fn raise(&mut self, written: Self, record: &Record) {
        let sequence = record.token.sequence;
        self.sequence = self.sequence.max(sequence);
        if sequence > written.sequence {
            self.time = self.time.max(Timestamp::from_micros(sequence));
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.time.as_micros().to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        let sum = sum(&bytes[..16]);
        bytes[16..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Checked like a record: a time in the far future would let everything expire.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [time, sequence, stored] = <[[u8; 8]; 3]>::try_from(bytes.as_chunks().0).ok()?;
        let whole = bytes.len() == LEN && u64::from_be_bytes(stored) == sum(&bytes[..16]);
        let (time, sequence) = (u64::from_be_bytes(time), u64::from_be_bytes(sequence));
        whole.then_some(Self { time: Timestamp::from_micros(time), sequence })
    }
}

fn sum(bytes: &[u8]) -> u64 {
    checksum(&Key::from_storage_key(KEY), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_mark_is_none() {
        let mark = Mark { time: Timestamp::from_micros(7), sequence: 9 };
        let bytes = mark.to_bytes();
        assert_eq!(Mark::from_bytes(&bytes), Some(mark));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::from_bytes(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Mark::from_bytes(&bytes[..length]), None, "length {length}");
        }
    }
}
