//! Waiting for the caller that holds a key, in rounds.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::contract::Store;
use crate::error::Result;
use crate::identity::Key;

/// Waits until the holder of a key has ended. [`execute`](crate::StoreExt::execute) does this by itself within
/// [`Policy::wait`](crate::Policy::wait). This type is for callers who lock by themselves, or who have to know that
/// they are waiting.
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
    /// Set by the first round.
    begun: Option<Instant>,
    rounds: u32,
}

impl SettledWait {
    /// Waits for `limit` at most, over all rounds.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, begun: None, rounds: 0 }
    }

    /// What is left of the time. The first look starts it.
    pub fn left(&mut self) -> Duration {
        if self.limit.is_zero() {
            return Duration::ZERO;
        }
        self.limit.saturating_sub(self.begun.get_or_insert_with(Instant::now).elapsed())
    }

    /// Waits until the holder of `key` has ended, or may have ended. False at once when the time is over. A store that
    /// cannot answer for a moment is no error here, since the `lock` that follows shows it.
    ///
    /// # Errors
    /// The store's, unless the error is [transient](crate::ErrorKind::is_transient).
    ///
    /// # Cancel safety
    /// Safe: reads only.
    pub async fn round<S: Store + ?Sized>(&mut self, store: &S, key: &Key) -> Result<bool> {
        let left = self.left();
        if left.is_zero() {
            return Ok(false);
        }
        let settled = timeout(left, store.settled(key, left)).await;
        // Settled and yet in progress again: other callers win the race for the key. The pause lets them finish.
        let pause = Duration::from_millis(5) * self.rounds.min(20);
        sleep(self.left().min(pause)).await;
        self.rounds += 1;
        match settled {
            Ok(Err(error)) if !error.kind().is_transient() => Err(error),
            _ => Ok(true),
        }
    }
}
