//! Retries that wait for the request that runs. They hold no lease, so they end with their clients.

use idem_core::{Key, Result, SettledWait};

use crate::layer::Shared;
use crate::stage::Stage;

/// The waiting of one retry, over all attempts that it waits for.
pub(crate) struct Waiting<'a> {
    shared: &'a Shared,
    wait: SettledWait,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, wait: SettledWait::new(shared.options.wait()) }
    }

    /// Waits until the request that runs under `key` has ended, or may have; false when the time for that is over, or too
    /// many wait already. A client that leaves meanwhile takes its request along.
    pub(crate) async fn one_round<J>(&mut self, stage: &Stage<J>, key: &Key) -> Result<bool> {
        if self.wait.left().is_zero() {
            return Ok(false);
        }
        let Ok(_place) = self.shared.waiters.try_acquire() else { return Ok(false) };
        // Nobody waits for a client that has left.
        if !stage.wait() {
            return Ok(false);
        }
        let settled = self.wait.round(self.shared.store(), key).await;
        stage.ask_again();
        settled
    }
}
