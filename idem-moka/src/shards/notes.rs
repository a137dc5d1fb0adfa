//! Notes of when the records of one shard expire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use idem_core::clock::Timestamp;

use crate::hash::KeyHashValue;

/// How many outdated notes may be kept even for few records: few enough to stay in the processor's cache.
const OUTDATED: usize = 8;

/// A note for each record, and outdated notes of records that were changed or removed since. Never more than twice the
/// number of records plus [`OUTDATED`], apart from notes that were just added.
///
/// A heap, since nearly every note is the latest so far, and is then simply appended. A tree from which each note was
/// removed with its record took 0.1 us more for each record, and twice the memory.
#[derive(Debug, Default)]
pub(crate) struct Notes(BinaryHeap<Reverse<(Timestamp, KeyHashValue)>>);

impl Notes {
    pub(crate) fn note(&mut self, expires_at: Timestamp, record: KeyHashValue) {
        self.0.push(Reverse((expires_at, record)));
    }

    /// Whether most notes are outdated, given the number of records. Then they should be rebuilt.
    pub(crate) fn are_outdated(&self, records: usize) -> bool {
        self.0.len() > 2 * records + OUTDATED
    }

    pub(crate) fn rebuild(&mut self, notes: impl Iterator<Item = (Timestamp, KeyHashValue)>) {
        self.0.clear();
        self.0.extend(notes.map(Reverse));
        // Leaves room for as many outdated notes again, so that memory is not freed only to be allocated at once.
        let room = 2 * self.0.len() + 2 * OUTDATED;
        if self.0.capacity() > 2 * room {
            self.0.shrink_to(room);
        }
    }

    /// When the next note is due, which may be an outdated one.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((expires_at, _))| *expires_at)
    }

    /// Whether a record has expired at `now`, by the first note that is not outdated (`of` tells). Outdated notes
    /// before it are taken out, some at a time; true while there are more of them.
    pub(crate) fn has_expired(
        &mut self,
        now: Timestamp,
        of: impl Fn(Timestamp, KeyHashValue) -> bool,
    ) -> bool {
        const AT_A_TIME: usize = 64;
        for _ in 0..AT_A_TIME {
            match self.0.peek() {
                Some(Reverse((expires_at, record))) if *expires_at <= now => {
                    if of(*expires_at, *record) {
                        return true;
                    }
                    self.0.pop();
                }
                _ => return false,
            }
        }
        true
    }

    /// Takes out the next note that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, KeyHashValue)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(note)| note)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn notes_come_out_in_order_of_expiry_and_not_before_it() {
        let mut notes = Notes::default();
        let [first, second, third] = [u64::MAX, 0, 7].map(KeyHashValue::from_bits);
        notes.note(at(20), second);
        notes.note(at(10), first);
        notes.note(at(30), third);
        assert_eq!(notes.pop_due(at(9)), None);
        assert_eq!(notes.pop_due(at(20)), Some((at(10), first)));
        assert_eq!(notes.pop_due(at(20)), Some((at(20), second)));
        assert_eq!(notes.pop_due(at(29)), None);
        assert_eq!(notes.next(), Some(at(30)));
    }

    #[test]
    fn outdated_notes_are_bounded_by_the_records() {
        let mut notes = Notes::default();
        for time in 0..10_000 {
            notes.note(at(time), KeyHashValue::from_bits(time));
            if notes.are_outdated(10) {
                notes.rebuild((0..10).map(|record| (at(time), KeyHashValue::from_bits(record))));
            }
            assert!(notes.len() <= 2 * 10 + OUTDATED, "{}", notes.len());
        }
    }
}
