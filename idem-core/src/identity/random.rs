//! Random bytes for owners, from the operating system. While many are needed, many are asked for at once.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Operation, Result};

/// Length of an owner in bytes.
const OWNER: usize = 16;
/// How many owners are asked for at once at most.
const MOST: usize = 32;
/// How old bytes may get before they are used.
const FRESH: Duration = Duration::from_millis(1);

/// 16 random bytes that differ from all others, also after this process's memory was copied.
///
/// Asking the system for each owner took a third of a microsecond, mostly for the system call. So each thread asks for
/// as many as it used lately, and uses none that is older than a millisecond.
///
/// Two copies of this memory (a fork, a machine's snapshot that is restored twice) have the same bytes left for that
/// millisecond. The clock's reading in nanoseconds is added to each owner, so two owners of the same bytes differ
/// unless they were made at the same moment. The remaining case is that both copies lock the same key within a
/// millisecond of the copying, and at the same nanosecond. A copy made after an owner and before its `lock` gives two
/// holders one owner whatever the source of randomness, and that gap is about as short.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when the operating system gives no randomness.
pub(crate) fn owner_bytes() -> Result<[u8; OWNER]> {
    thread_local! {
        static BYTES: RefCell<Pool> = const { RefCell::new(Pool::EMPTY) };
    }
    BYTES.with_borrow_mut(|pool| pool.next(SystemClock.monotonic(), system_bytes))
}

/// A seed for what need not be secret, such as jitter. It differs from call to call, process to process and machine to
/// machine. When the system gives no randomness, it comes from this thread's hasher.
pub(crate) fn random_seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(()))
}

/// The random bytes of one thread.
#[derive(Debug)]
struct Pool {
    bytes: [u8; OWNER * MOST],
    /// How many owners are left. They stand at the front.
    left: usize,
    /// How many owners were asked for at once.
    asked: usize,
    /// When they were asked for.
    at: Duration,
}

impl Pool {
    const EMPTY: Self = Self { bytes: [0; OWNER * MOST], left: 0, asked: 0, at: Duration::ZERO };

    fn next(&mut self, now: Duration, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<[u8; OWNER]> {
        let stale = now.saturating_sub(self.at) >= FRESH;
        if self.left == 0 || stale {
            // As many again as were used up within the millisecond, or one alone.
            self.asked = if stale { 1 } else { (2 * self.asked).clamp(1, MOST) };
            self.left = 0;
            fill(&mut self.bytes[..OWNER * self.asked])?;
            (self.left, self.at) = (self.asked, now);
        }
        self.left -= 1;
        let used = &mut self.bytes[OWNER * self.left..][..OWNER];
        let mut owner = [0; OWNER];
        owner.copy_from_slice(used);
        // So that nobody can read used bytes from this memory later.
        used.fill(0);
        for (byte, nanosecond) in owner.iter_mut().zip(now.as_nanos().to_le_bytes()) {
            *byte ^= nanosecond;
        }
        Ok(owner)
    }
}

fn system_bytes(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|source| {
        Error::new(ErrorKind::Unavailable, Operation::Build, "the system's random source failed")
            .with_source(source)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(nanoseconds: u64) -> Duration {
        Duration::from_secs(1) + Duration::from_nanos(nanoseconds)
    }

    #[test]
    fn owners_of_many_threads_differ() {
        let draw = || (0..10_000).map(|_| owner_bytes().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let all: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 40_000);
    }

    #[test]
    fn every_bit_of_an_owner_varies() {
        let (mut ones, mut zeros) = ([0_u8; OWNER], [0_u8; OWNER]);
        for _ in 0..200 {
            let owner = owner_bytes().unwrap();
            for (place, byte) in owner.iter().enumerate() {
                ones[place] |= byte;
                zeros[place] |= !byte;
            }
        }
        assert_eq!((ones, zeros), ([0xFF; OWNER], [0xFF; OWNER]));
    }

    #[test]
    fn copies_of_the_memory_make_other_owners_at_every_other_moment() {
        let mut pool = Pool::EMPTY;
        for round in 0..6 {
            pool.next(at(round), system_bytes).unwrap();
        }
        let mut owners = HashSet::new();
        for copy in 0..1_000 {
            let mut copied = Pool { bytes: pool.bytes, ..pool };
            owners.insert(copied.next(at(100 + copy), |_| panic!("bytes are left")).unwrap());
        }
        assert_eq!(owners.len(), 1_000);
    }

    #[test]
    fn bytes_that_are_a_millisecond_old_are_never_used() {
        let mut pool = Pool::EMPTY;
        for round in 0..40 {
            pool.next(at(round), system_bytes).unwrap();
        }
        assert!(pool.left > 0);
        let mut asked = 0;
        let late = at(40) + FRESH;
        pool.next(late, |bytes| {
            asked = bytes.len();
            system_bytes(bytes)
        })
        .unwrap();
        assert_eq!((asked, pool.left), (OWNER, 0), "one alone, and nothing is left of the old ones");
    }

    #[test]
    fn more_are_asked_for_at_once_the_more_are_used() {
        let mut pool = Pool::EMPTY;
        let mut asked = Vec::new();
        for round in 0..100 {
            pool.next(at(round), |bytes| {
                asked.push(bytes.len() / OWNER);
                system_bytes(bytes)
            })
            .unwrap();
        }
        assert_eq!(asked, [1, 2, 4, 8, 16, 32, 32, 32]);
    }

    #[test]
    fn after_a_failure_of_the_system_nothing_old_is_used() {
        let mut pool = Pool::EMPTY;
        pool.next(at(0), system_bytes).unwrap();
        let failed = || Err(Error::new(ErrorKind::Unavailable, Operation::Build, "none"));
        assert!(pool.next(at(1), |_| failed()).is_err());
        assert!(pool.next(at(2), |_| failed()).is_err());
        pool.next(at(3), system_bytes).unwrap();
    }
}
