//! Waking those who wait until a key has no live lease, without holding a lock or a thread.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::Result;
use crate::identity::Key;
use crate::store::Store;
use crate::store::polling::{LONGEST_PAUSE, deadline, lease_remaining};

/// Wakes those who wait for a key in this process. For those who write a store.
///
/// There is a fixed number of slots, each shared by many keys. So memory is bounded whatever clients ask for, and in
/// return a waiter is sometimes woken for another key and looks again.
pub struct Waiters {
    slots: Box<[Notify]>,
    hash: RandomState,
}

impl Waiters {
    /// Without any waiter.
    #[must_use]
    pub fn new() -> Self {
        const SLOTS: usize = 1_024;
        Self { slots: (0..SLOTS).map(|_| Notify::new()).collect(), hash: RandomState::new() }
    }

    /// Wakes all who wait for `key`: it was completed, released or removed.
    pub fn wake(&self, key: &Key) {
        self.slot(key).notify_waiters();
    }

    /// Wakes all who wait, for whatever key: the store was closed, and each of them gets its answer now.
    pub fn wake_all(&self) {
        self.slots.iter().for_each(Notify::notify_waiters);
    }

    /// [`Store::settled`] for a store that calls [`wake`](Waiters::wake) after every change that ends a lease.
    ///
    /// # Errors
    /// Those of [`Store::get`].
    ///
    /// # Cancel safety
    /// Safe: changes nothing.
    pub async fn settled<S: Store + ?Sized>(&self, store: &S, key: &Key, timeout: Duration) -> Result<bool> {
        let over = deadline(timeout);
        loop {
            // Registered before the look, so that a completion between the look and the wait is not missed.
            let mut woken = pin!(self.slot(key).notified());
            woken.as_mut().enable();
            let Some(remaining) = lease_remaining(store.get(key).await?) else { return Ok(true) };
            if Instant::now() >= over {
                return Ok(false);
            }
            let look_again = over.min(Instant::now() + remaining.min(LONGEST_PAUSE));
            // Woken or not, the waiter reads the record again, and that decides.
            let _ = timeout_at(look_again, woken).await;
        }
    }

    fn slot(&self, key: &Key) -> &Notify {
        // The remainder is below the number of slots, whatever the width of usize.
        #[expect(clippy::cast_possible_truncation, reason = "any part of the hash does")]
        let hash = self.hash.hash_one(key) as usize;
        &self.slots[hash % self.slots.len()]
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Waiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiters").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}
