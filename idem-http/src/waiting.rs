//! Retries that wait for the request that runs. They hold nothing, so they end with their clients.

use std::time::Duration;

use idem_core::{Key, Result};
use tokio::time::{Instant, sleep, timeout};

use crate::layer::Shared;
use crate::stage::Stage;

/// The waiting of one retry, over all attempts that it waits for.
pub(crate) struct Waiting<'a> {
    shared: &'a Shared,
    begun: Option<Instant>,
    rounds: u32,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, begun: None, rounds: 0 }
    }

    /// Waits until the request that runs under `key` has ended, or may have; false when the time for that is over, or too
    /// many wait already. A client that leaves meanwhile takes its request along.
    pub(crate) async fn one_round<J>(&mut self, stage: &Stage<J>, key: &Key) -> Result<bool> {
        let limit = self.shared.options.wait();
        if limit.is_zero() {
            return Ok(false);
        }
        let left = limit.saturating_sub(self.begun.get_or_insert_with(Instant::now).elapsed());
        let Ok(_place) = self.shared.waiters.try_acquire() else { return Ok(false) };
        // Nobody waits for a client that has left.
        if left.is_zero() || !stage.wait() {
            return Ok(false);
        }
        let settled = timeout(left, self.shared.store().settled(key, left)).await;
        // Settled and yet in progress, again and again: others win the race, so make room.
        sleep(left.min(Duration::from_millis(5) * self.rounds.min(20))).await;
        self.rounds += 1;
        stage.ask_again();
        match settled {
            Ok(Err(error)) if !error.kind().is_transient() => Err(error),
            // Settled or not, the lock tells.
            _ => Ok(true),
        }
    }
}
