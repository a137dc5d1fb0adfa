//! The row that saves the scopes' usage, and whether it is still valid.
//!
//! A version of the store that counts nothing leaves the row as it is, and commits without it. So the row says when it
//! was written: a store that counts writes it anew within a second of changes, and a mark that is further ahead means
//! that another version has written since.

use std::time::Duration;

use idem_core::clock::Timestamp;

use crate::storage::records::high_water_mark;
use crate::storage::records::scope_usage::{COUNTERS, ScopeId, ScopeUsage};

const ENTRY_LEN: usize = size_of::<ScopeId>() + 8;
/// How far the mark may be ahead of a valid row.
const MOST_BEHIND: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageRow {
    pub(crate) usage: ScopeUsage,
    /// The store's time at the commit that wrote it.
    pub(crate) as_of: Timestamp,
    /// The most bytes of records that the file is known to have had room for.
    pub(crate) peak: u64,
    /// Whether the usage was exact, until more is committed.
    pub(crate) is_exact: bool,
}

impl UsageRow {
    /// Whether it was written shortly before the commit with `mark`.
    pub(crate) fn is_of(&self, mark: Timestamp) -> bool {
        self.as_of <= mark && mark <= self.as_of + MOST_BEHIND
    }

    /// The total and the other fields, then each scope, then a checksum.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40 + COUNTERS * ENTRY_LEN);
        let fields = [self.usage.all(), self.as_of.as_micros(), self.peak, u64::from(self.is_exact)];
        bytes.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
        for (scope, usage) in self.usage.scopes() {
            bytes.extend_from_slice(scope);
            bytes.extend_from_slice(&usage.to_be_bytes());
        }
        let sum = high_water_mark::sum(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// `None` when the bytes are damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (covered, sum) = bytes.split_last_chunk()?;
        let (fields, entries) = covered.split_first_chunk::<32>()?;
        let (entries, []) = entries.as_chunks::<ENTRY_LEN>() else { return None };
        if u64::from_be_bytes(*sum) != high_water_mark::sum(covered) || entries.len() > COUNTERS {
            return None;
        }
        let scopes = entries.iter().map(|entry| {
            let (scope, usage) = entry.split_first_chunk()?;
            Some((*scope, u64::from_be_bytes(usage.try_into().ok()?)))
        });
        let fields = <[[u8; 8]; 4]>::try_from(fields.as_chunks().0).ok()?;
        let [all, as_of, peak, is_exact] = fields.map(u64::from_be_bytes);
        Some(Self {
            usage: ScopeUsage::new(all, scopes.collect::<Option<_>>()?),
            as_of: Timestamp::from_micros(as_of),
            peak,
            is_exact: is_exact == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scopes: u8) -> UsageRow {
        let mut usage = ScopeUsage::default();
        for scope in 0..scopes {
            usage.change(Some(&[scope; 16]), 100 + i64::from(scope));
        }
        UsageRow { usage, as_of: Timestamp::from_micros(5_000_000), peak: 9_000, is_exact: true }
    }

    #[test]
    fn what_is_written_down_is_read_as_it_was_and_damage_is_none() {
        for scopes in [0, 1, 32] {
            let row = row(scopes);
            let bytes = row.to_bytes();
            assert_eq!(UsageRow::from_bytes(&bytes), Some(row));
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(UsageRow::from_bytes(&damaged), None, "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(UsageRow::from_bytes(&bytes[..length]), None, "length {length}");
            }
        }
    }

    #[test]
    fn a_row_is_believed_beside_a_mark_of_the_same_moment() {
        for (mark, expected) in [(4_999_999, false), (5_000_000, true), (7_000_000, true), (9_000_000, false)]
        {
            assert_eq!(row(1).is_of(Timestamp::from_micros(mark)), expected, "{mark}");
        }
    }
}
