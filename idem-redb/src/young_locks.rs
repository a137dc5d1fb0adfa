//! Locks that have no note yet.
//!
//! Most locks end within moments of their beginning. Their notes in the [expiry index](crate::lock_expiry) would be
//! written and removed again, each time on a page that nothing else of the commit needs. So a lock is noted once it is
//! a second old, and until then the writer remembers it here. Its record says from the beginning where its note is to
//! be. This is a list of what is to be noted and no truth: what a crash forgets of it is found by
//! [looking through the locks](crate::unnoted) once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use idem_core::{Key, Timestamp};

use crate::schema::Place;

/// How many there are at most. What comes beyond is noted at once. Each takes some 100 bytes of memory.
pub(crate) const MOST: usize = 16_384;
/// How old a lock is before it is noted, at least; twice as old at most, while anything is committed.
const YOUNG_FOR: Duration = Duration::from_secs(1);

/// In the order of their expiry.
#[derive(Debug, Default)]
pub(crate) struct YoungLocks {
    recent: BTreeMap<Place, Key>,
    /// They are to be noted.
    old: BTreeMap<Place, Key>,
    /// When the recent ones become old.
    next_turn: Duration,
}

/// What one commit does to them.
#[derive(Debug, Default)]
pub(crate) struct YoungChanges {
    /// Those from before the commit, where any may be left without a note.
    young: Option<Arc<Mutex<YoungLocks>>>,
    room: usize,
    pub(crate) begun: Vec<(Place, Key)>,
    /// Places whose locks are gone, or have their notes. Some may never have been young.
    pub(crate) ended: Vec<Place>,
}

impl YoungLocks {
    pub(crate) fn of(young: &Mutex<Self>) -> MutexGuard<'_, Self> {
        young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.recent.len() + self.old.len()
    }

    /// How many more may be left without a note.
    pub(crate) fn room(&self) -> usize {
        MOST.saturating_sub(self.len())
    }

    /// The changes are committed.
    pub(crate) fn change(&mut self, changes: YoungChanges) {
        self.recent.extend(changes.begun);
        for ended in &changes.ended {
            if self.recent.remove(ended).is_none() {
                self.old.remove(ended);
            }
        }
    }

    /// Some of those that are to be noted now.
    pub(crate) fn due(&mut self, now: Duration, most: usize) -> Vec<(Place, Key)> {
        if self.old.is_empty() && now >= self.next_turn {
            self.old = std::mem::take(&mut self.recent);
            self.next_turn = now + YOUNG_FOR;
        }
        self.old.iter().take(most).map(|(place, key)| (*place, *key)).collect()
    }

    pub(crate) fn all(&self) -> Vec<(Place, Key)> {
        self.old.iter().chain(&self.recent).map(|(place, key)| (*place, *key)).collect()
    }

    /// Some of those whose records may have expired.
    pub(crate) fn expired(&self, now: Timestamp, most: usize) -> Vec<(Key, Place)> {
        let until = ..=Place::last_expired(now);
        let both = self.old.range(until).chain(self.recent.range(until));
        both.take(most).map(|(place, key)| (*key, *place)).collect()
    }

    pub(crate) fn contains(&self, place: Place) -> bool {
        self.recent.contains_key(&place) || self.old.contains_key(&place)
    }
}

impl YoungChanges {
    /// As far as there is room among the `young` ones.
    pub(crate) fn of(young: &Arc<Mutex<YoungLocks>>) -> Self {
        let room = YoungLocks::of(young).room();
        Self { young: Some(Arc::clone(young)), room, ..Self::default() }
    }

    /// The lock at `place` has ended; whether it was young, so that it has no note.
    pub(crate) fn ends(&mut self, place: Place) -> bool {
        self.ended.push(place);
        self.young.as_ref().is_some_and(|young| YoungLocks::of(young).contains(place))
    }

    /// Whether the lock at `place` goes without a note for now.
    pub(crate) fn takes(&mut self, key: &Key, place: Place) -> bool {
        let takes = self.begun.len() < self.room;
        if takes {
            self.begun.push((place, *key));
        }
        takes
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use idem_core::Scope;

    use super::*;

    fn lock(number: u64) -> (Place, Key) {
        let key = Key::new(&Scope::shared(), number.to_string()).unwrap();
        (Place::new(Timestamp::from_micros(1_000 + number), number), key)
    }

    fn begun(numbers: std::ops::Range<u64>) -> YoungChanges {
        YoungChanges { begun: numbers.map(lock).collect(), ..YoungChanges::default() }
    }

    fn ended(numbers: std::ops::Range<u64>) -> YoungChanges {
        YoungChanges { ended: numbers.map(|number| lock(number).0).collect(), ..YoungChanges::default() }
    }

    #[test]
    fn a_lock_is_due_once_it_is_a_second_old_and_not_before() {
        let mut young = YoungLocks::default();
        assert!(young.due(YOUNG_FOR, 9).is_empty());
        young.change(begun(0..3));
        assert!(young.due(YOUNG_FOR + YOUNG_FOR / 2, 9).is_empty());
        assert_eq!(young.due(YOUNG_FOR * 2, 2), [lock(0), lock(1)]);
        // Those that come meanwhile wait for their turn.
        young.change(begun(3..5));
        young.change(ended(0..2));
        assert_eq!(young.due(YOUNG_FOR * 2, 9), [lock(2)]);
        young.change(ended(2..3));
        assert!(young.due(YOUNG_FOR * 2, 9).is_empty());
        assert_eq!(young.due(YOUNG_FOR * 3, 9), [lock(3), lock(4)]);
    }

    #[test]
    fn what_has_ended_is_forgotten_whatever_its_age() {
        let mut young = YoungLocks::default();
        young.change(begun(0..2));
        young.due(YOUNG_FOR, 9);
        young.change(begun(2..4));
        assert_eq!(young.len(), 4);
        young.change(ended(1..3));
        assert_eq!(young.all(), [lock(0), lock(3)]);
        // One that began and ended in the same commit was never there.
        young.change(YoungChanges { ended: vec![lock(7).0], ..begun(7..8) });
        assert!(!young.contains(lock(7).0));
    }

    #[test]
    fn expired_ones_are_found_whether_they_are_old_or_recent() {
        let mut young = YoungLocks::default();
        young.change(begun(0..2));
        young.due(YOUNG_FOR, 9);
        young.change(begun(2..4));
        let found = young.expired(Timestamp::from_micros(1_002), 9);
        let expected: Vec<_> = [0, 1, 2].map(lock).into_iter().map(|(place, key)| (key, place)).collect();
        assert_eq!(found, expected);
        assert_eq!(young.expired(Timestamp::from_micros(1_002), 1).len(), 1);
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for() {
        let young = Arc::new(Mutex::new(YoungLocks::default()));
        YoungLocks::of(&young).change(begun(0..MOST as u64 - 2));
        let mut changes = YoungChanges::of(&young);
        let numbers = MOST as u64..MOST as u64 + 4;
        let taken = numbers.filter(|number| changes.takes(&lock(*number).1, lock(*number).0)).count();
        assert_eq!(taken, 2);
        YoungLocks::of(&young).change(changes);
        assert_eq!(YoungLocks::of(&young).room(), 0);
    }

    #[test]
    fn a_lock_that_ends_is_known_as_young_until_it_has_its_note() {
        let young = Arc::new(Mutex::new(YoungLocks::default()));
        YoungLocks::of(&young).change(begun(0..2));
        let mut changes = YoungChanges::of(&young);
        assert!(changes.ends(lock(0).0) && !changes.ends(lock(7).0));
        YoungLocks::of(&young).change(changes);
        assert!(!YoungChanges::of(&young).ends(lock(0).0));
        assert!(!YoungChanges::default().ends(lock(1).0));
    }
}
