//! The expiry index of evictable records.

use std::collections::BTreeSet;
use std::ops::Bound;

use idem_core::clock::Timestamp;

use crate::hash::KeyHashValue;

/// Evictable records of one part in order of expiry. Exact: it has one entry for each record, however many moka evicts.
///
/// Expiry and hash are joined into one number, which a tree compares in half the time that a pair takes.
#[derive(Debug)]
pub(crate) struct Expiry(BTreeSet<u128>);

impl Expiry {
    pub(crate) fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn insert(&mut self, expires_at: Timestamp, record: KeyHashValue) {
        self.0.insert(joined(expires_at, record));
    }

    pub(crate) fn remove(&mut self, expires_at: Timestamp, record: KeyHashValue) {
        self.0.remove(&joined(expires_at, record));
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.0.first().is_some_and(|first| expires_at(*first) <= now)
    }

    /// Takes out the record that has been expired for longest at `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<KeyHashValue> {
        if !self.is_due(now) {
            return None;
        }
        self.0.pop_first().map(record)
    }

    /// The places of at most `most` records behind `after`, in order, and those records.
    pub(crate) fn behind(
        &self,
        after: Option<u128>,
        most: usize,
    ) -> impl Iterator<Item = (u128, KeyHashValue)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded)).take(most).map(|place| (*place, record(*place)))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn joined(expires_at: Timestamp, record: KeyHashValue) -> u128 {
    u128::from(expires_at.as_micros()) << 64 | u128::from(record.bits())
}

fn expires_at(joined: u128) -> Timestamp {
    Timestamp::from_micros((joined >> 64) as u64)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is meant")]
fn record(joined: u128) -> KeyHashValue {
    KeyHashValue::from_bits(joined as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn records_come_out_in_order_of_expiry_and_not_before_it() {
        let mut expiry = Expiry::new();
        let [first, second, third] = [u64::MAX, 0, 7].map(KeyHashValue::from_bits);
        expiry.insert(at(20), second);
        expiry.insert(at(10), first);
        expiry.insert(at(30), third);
        assert_eq!(expiry.pop_due(at(9)), None);
        assert_eq!(expiry.pop_due(at(20)), Some(first));
        assert_eq!(expiry.pop_due(at(20)), Some(second));
        assert!(!expiry.is_due(at(20)));
        assert!(expiry.is_due(at(30)));
    }

    #[test]
    fn a_removed_record_leaves_nothing_behind() {
        let mut expiry = Expiry::new();
        let [kept, removed] = [1, 2].map(KeyHashValue::from_bits);
        expiry.insert(at(10), kept);
        expiry.insert(at(10), removed);
        expiry.remove(at(10), removed);
        assert_eq!(expiry.len(), 1);
        assert_eq!(expiry.pop_due(at(10)), Some(kept));
        assert_eq!(expiry.len(), 0);
    }
}
