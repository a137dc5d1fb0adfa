//! A bound for those who wait for rows that other transactions have locked.

use std::collections::HashMap;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};

use super::entry::Entry;
use crate::batch::{BatchedCall, StorageKey};

/// How many may wait so by one connection. They are looked at for each statement, so they cost the others time.
pub(super) const MOST_ROW_LOCKED: usize = 1_024;

/// Refuses the last of those that wait for locked rows, of the keys that have the most of them, where they are more than
/// `most`. One call on each key is left.
pub(super) fn thin_out<B: BatchedCall>(later: &mut Vec<Entry<B>>, most: usize) {
    if later.len() <= most {
        return;
    }
    let mut waiting: HashMap<StorageKey, usize> = HashMap::new();
    for entry in later.iter().filter(|entry| entry.row_locked) {
        *waiting.entry(*entry.storage_key()).or_default() += 1;
    }
    let room = of_each_key(waiting.values().copied().collect(), most);
    if waiting.values().all(|number| *number <= room) {
        return;
    }
    waiting.clear();
    let surplus = later.extract_if(.., |entry| {
        let number = waiting.entry(*entry.storage_key()).or_default();
        *number += usize::from(entry.row_locked);
        entry.row_locked && *number > room
    });
    for entry in surplus {
        entry.give_up(too_many());
    }
}

/// Why a call gives way.
pub(super) fn too_many() -> Error {
    let message = "too many calls wait for a row that another transaction has locked";
    Error::new(ErrorKind::Unavailable, Operation::Lock, message)
}

/// How many of each key leave at most `most` in all, at least one.
fn of_each_key(mut numbers: Vec<usize>, most: usize) -> usize {
    numbers.sort_unstable();
    let (mut left, mut keys) = (most, numbers.len());
    for number in numbers {
        if number.saturating_mul(keys) > left {
            return (left / keys).max(1);
        }
        left -= number;
        keys -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_with_the_most_calls_give_way() {
        assert_eq!(of_each_key(vec![], 10), usize::MAX);
        assert_eq!(of_each_key(vec![4, 6], 10), usize::MAX);
        assert_eq!(of_each_key(vec![20], 10), 10);
        assert_eq!(of_each_key(vec![1, 1, 100], 10), 8);
        assert_eq!(of_each_key(vec![100, 1, 100], 10), 4);
        assert_eq!(of_each_key(vec![2; 20], 10), 1);
    }
}
