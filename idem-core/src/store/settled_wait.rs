//! Waiting for the caller that holds a key, in rounds.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::contract::Store;
use crate::error::Result;
use crate::identity::Key;

/// The waiting of one caller until the one that holds a key has ended: what
/// [`execute`](crate::StoreExt::execute) does by itself within [`Policy::wait`](crate::Policy::wait), for callers who lock
/// by themselves or have to know that they wait.
///
/// ```
/// use std::time::Duration;
/// use idem_core::{Claim, Fingerprint, Key, LockAnswer, Result, SettledWait, Store};
///
/// async fn lock(store: &dyn Store, key: &Key, order: &Fingerprint, claim: &Claim) -> Result<LockAnswer> {
///     let mut wait = SettledWait::new(Duration::from_secs(5));
///     loop {
///         let outcome = store.lock(key, order, claim).await?;
///         if !matches!(outcome, LockAnswer::InProgress { .. }) || !wait.round(store, key).await? {
///             return Ok(outcome);
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SettledWait {
    limit: Duration,
    /// With the first round.
    begun: Option<Instant>,
    rounds: u32,
}

impl SettledWait {
    /// For `limit` at most, over all rounds.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, begun: None, rounds: 0 }
    }

    /// What is left of its time; looking begins it.
    pub fn left(&mut self) -> Duration {
        if self.limit.is_zero() {
            return Duration::ZERO;
        }
        self.limit.saturating_sub(self.begun.get_or_insert_with(Instant::now).elapsed())
    }

    /// Waits until whoever holds `key` has ended, or may have; false, at once, when the time is over. The `lock` that
    /// follows tells: so a store that cannot answer for a moment is no error here.
    ///
    /// # Errors
    /// The store's, where it is one that does not pass.
    ///
    /// # Cancel safety
    /// Safe: reads only.
    pub async fn round<S: Store + ?Sized>(&mut self, store: &S, key: &Key) -> Result<bool> {
        let left = self.left();
        if left.is_zero() {
            return Ok(false);
        }
        let settled = timeout(left, store.settled(key, left)).await;
        // Settled and yet in progress, again and again: others win the race, so make room.
        let pause = Duration::from_millis(5) * self.rounds.min(20);
        sleep(self.left().min(pause)).await;
        self.rounds += 1;
        match settled {
            Ok(Err(error)) if !error.kind().is_transient() => Err(error),
            _ => Ok(true),
        }
    }
}
