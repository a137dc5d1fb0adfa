//! Which calls go together.

use std::collections::HashMap;

use tokio::time::Instant;

use super::entry::Entry;
use crate::batch::{BatchedCall, StorageKey};

/// Bytes of one statement's outcomes and checkpoints, unless a single call has more.
const MAX_BYTES: usize = 4 << 20;

/// Those that go now, and those that go later in the order of their calls.
///
/// Those that go are in the order of keys, so that two batches never wait for each other in a circle. Of each key the first
/// is sent, and of at most `max_calls` keys: those that have waited longest. Where calls on a key are
/// [shared](BatchedCall::SHARED), the others follow the first and have no part in the statement; elsewhere they go later.
pub(super) fn choose<B: BatchedCall>(
    entries: impl Iterator<Item = Entry<B>>,
    max_calls: usize,
    now: Instant,
) -> (Vec<Entry<B>>, Vec<Entry<B>>) {
    let mut batch: Vec<Entry<B>> = Vec::new();
    let mut followers = Vec::new();
    let mut later = Vec::new();
    let mut pauses: HashMap<StorageKey, Instant> = HashMap::new();
    let mut bytes = 0;
    let mut full = false;
    let mut wanted: Vec<_> = entries.filter(|entry| entry.is_wanted(now)).collect();
    if B::SHARED {
        // Those that are sent again and again leave room for the others. Elsewhere it is their order that counts.
        wanted.sort_by_key(|entry| entry.not_before);
    }
    for mut entry in wanted {
        if let Some(not_before) = pauses.get(entry.storage_key()) {
            // Not before the call that was sent already, and waits to be sent again.
            entry.not_before = entry.not_before.max(*not_before);
        }
        if entry.not_before > now {
            if !B::SHARED {
                pauses.insert(*entry.storage_key(), entry.not_before);
            }
            later.push(entry);
            continue;
        }
        match place(&batch, entry.storage_key()) {
            Ok(_) if B::SHARED => followers.push(entry),
            Ok(_) => later.push(entry),
            Err(at) => {
                let size = entry.call.size();
                // Once there was no room for one, the next ones go later as well: none overtakes another on its key.
                full |= !batch.is_empty()
                    && (batch.len() >= max_calls || bytes + size > MAX_BYTES || entry.goes_alone);
                if full {
                    later.push(entry);
                } else {
                    bytes += size;
                    full = entry.goes_alone;
                    batch.insert(at, entry);
                }
            }
        }
    }
    if B::SHARED {
        // Their pause spares the server statements, and this statement is sent anyway.
        followers
            .extend(later.extract_if(.., |entry| {
                entry.not_before > now && place(&batch, entry.storage_key()).is_ok()
            }));
    }
    if !followers.is_empty() {
        batch.append(&mut followers);
        // Stable: the first of each key stays the first.
        batch.sort_by(|one, other| one.storage_key().cmp(other.storage_key()));
    }
    (batch, later)
}

/// Where a key is, or belongs.
fn place<B: BatchedCall>(batch: &[Entry<B>], key: &StorageKey) -> Result<usize, usize> {
    batch.binary_search_by(|chosen| chosen.storage_key().cmp(key))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use idem_core::{Key, Result, Scope};
    use tokio::sync::oneshot;

    use super::*;
    use crate::connection::Connection;
    use crate::error::Failure;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn shared_calls_on_one_key_go_together_and_the_first_stays_the_first() {
        let waiting = Waiting::<true>::on("abacab");
        assert_eq!(waiting.choose(10), ("a024 b15 c3".into(), String::new()));
    }

    #[test]
    fn other_calls_on_one_key_go_one_after_the_other() {
        let waiting = Waiting::<false>::on("abacab");
        assert_eq!(waiting.choose(10), ("a0 b1 c3".into(), "245".into()));
    }

    #[test]
    fn those_that_follow_take_no_room() {
        let mut waiting = Waiting::<true>::on("aabbca");
        waiting.entries.iter_mut().for_each(|entry| entry.call.size = MAX_BYTES / 2);
        assert_eq!(waiting.choose(2), ("a015 b23".into(), "4".into()));
        assert_eq!(Waiting::<true>::on("aabbca").choose(2), ("a015 b23".into(), "4".into()));
    }

    #[test]
    fn a_call_that_is_larger_than_a_statement_goes_alone() {
        let mut waiting = Waiting::<false>::on("abc");
        waiting.entries[0].call.size = 2 * MAX_BYTES;
        assert_eq!(waiting.choose(10), ("a0".into(), "12".into()));
    }

    #[test]
    fn a_call_that_goes_alone_takes_none_but_its_followers_along() {
        for (alone, chosen) in [(0, ("a02", "13")), (1, ("a02", "13"))] {
            let mut waiting = Waiting::<true>::on("abac");
            waiting.entries[alone].goes_alone = true;
            assert_eq!(waiting.choose(10), (chosen.0.into(), chosen.1.into()));
        }
    }

    #[test]
    fn keys_that_have_waited_longest_go_first() {
        let mut waiting = Waiting::<true>::on("abab");
        waiting.now += LONG;
        waiting.entries.iter_mut().for_each(|entry| entry.deadline += LONG);
        waiting.entries[0].not_before += LONG / 2;
        waiting.entries[2].not_before += LONG / 2;
        assert_eq!(waiting.choose(1), ("b13".into(), "02".into()));
    }

    #[test]
    fn a_small_call_does_not_overtake_a_large_one_on_its_key() {
        let mut waiting = Waiting::<false>::on("abbc");
        waiting.entries[0].call.size = MAX_BYTES / 2;
        waiting.entries[1].call.size = MAX_BYTES;
        assert_eq!(waiting.choose(10), ("a0".into(), "123".into()));
    }

    #[test]
    fn a_call_waits_as_long_as_the_one_before_it_that_was_sent_without_an_answer() {
        let mut waiting = Waiting::<false>::on("abab");
        waiting.entries[0].not_before += LONG / 2;
        let (batch, later) = choose(waiting.entries.into_iter(), 10, waiting.now);
        assert_eq!((names(&batch), numbers(&later)), ("b1".into(), "023".into()));
        let pauses: Vec<_> = later.iter().map(|entry| entry.not_before - waiting.now).collect();
        assert_eq!(pauses, [LONG / 2, LONG / 2, Duration::ZERO]);
        let (batch, later) = choose(later.into_iter(), 10, waiting.now + LONG / 2);
        assert_eq!((names(&batch), numbers(&later)), ("a0 b3".into(), "2".into()));
    }

    #[test]
    fn a_shared_call_waits_for_no_other_and_takes_those_along_that_wait_longer() {
        let mut waiting = Waiting::<true>::on("abab");
        waiting.entries[0].not_before += LONG / 2;
        waiting.entries[1].not_before += LONG / 2;
        waiting.entries[3].not_before += LONG / 2;
        assert_eq!(waiting.choose(10), ("a20".into(), "13".into()));
    }

    #[test]
    fn calls_whose_callers_have_gone_are_dropped() {
        let mut waiting = Waiting::<true>::on("aaba");
        waiting.entries[1].deadline = waiting.now;
        drop(waiting.callers.remove(0));
        assert_eq!(waiting.choose(10), ("a3 b2".into(), String::new()));
    }

    /// Calls that wait, and their callers.
    struct Waiting<const SHARED: bool> {
        entries: Vec<Entry<Call<SHARED>>>,
        callers: Vec<oneshot::Receiver<Result<()>>>,
        now: Instant,
    }

    impl<const SHARED: bool> Waiting<SHARED> {
        /// One for each letter, which is its key, numbered in their order.
        fn on(names: &str) -> Self {
            let now = Instant::now();
            let entry = |(number, name)| {
                let (answer, caller) = oneshot::channel();
                let mut entry = Entry::new(Call::new(name, number), now + LONG, answer);
                entry.not_before = now;
                (entry, caller)
            };
            let (entries, callers) = names.chars().enumerate().map(entry).unzip();
            Self { entries, callers, now }
        }

        /// Those that go now, and those that go later.
        fn choose(self, max_calls: usize) -> (String, String) {
            let (batch, later) = choose(self.entries.into_iter(), max_calls, self.now);
            assert!(batch.is_sorted_by_key(|entry| *entry.storage_key()));
            (names(&batch), numbers(&later))
        }
    }

    /// The keys in alphabetical order, each with the numbers of its calls.
    fn names<const SHARED: bool>(batch: &[Entry<Call<SHARED>>]) -> String {
        let of_key = |calls: &[Entry<Call<SHARED>>]| format!("{}{}", calls[0].call.name, numbers(calls));
        let mut keys: Vec<_> =
            batch.chunk_by(|one, other| one.storage_key() == other.storage_key()).map(of_key).collect();
        keys.sort();
        keys.join(" ")
    }

    fn numbers<const SHARED: bool>(calls: &[Entry<Call<SHARED>>]) -> String {
        calls.iter().map(|entry| entry.call.number.to_string()).collect()
    }

    #[derive(Debug)]
    struct Call<const SHARED: bool> {
        name: char,
        key: Key,
        number: usize,
        size: usize,
    }

    impl<const SHARED: bool> Call<SHARED> {
        fn new(name: char, number: usize) -> Self {
            let key = Key::new(&Scope::shared(), name.to_string()).unwrap();
            Self { name, key, number, size: 0 }
        }
    }

    impl<const SHARED: bool> BatchedCall for Call<SHARED> {
        type Answer = ();

        const SHARED: bool = SHARED;

        fn key(&self) -> &Key {
            &self.key
        }

        fn size(&self) -> usize {
            self.size
        }

        fn statement(_schema: &str) -> String {
            String::new()
        }

        async fn send(
            _connection: &Connection,
            _statement: &str,
            _calls: &[&Self],
        ) -> Result<HashMap<StorageKey, Result<()>>, Failure> {
            Ok(HashMap::new())
        }
    }
}
