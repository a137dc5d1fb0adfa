//! Retries that wait for the request that runs. They hold no lease, so their waiting ends when their client leaves.

use idem_core::{Key, Result, SettledWait};

use super::stage::Stage;
use crate::shared::Shared;

/// The waiting time of one retry, over all attempts that it waits for.
pub(crate) struct Waiting<'a> {
    shared: &'a Shared,
    wait: SettledWait,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, wait: SettledWait::new(shared.options.wait()) }
    }

    /// Waits until the request that runs under `key` has ended, or may have; false when the time for that is over, or too
    /// many wait already. The request is dropped when its client leaves meanwhile.
    pub(crate) async fn wait_once<J>(&mut self, stage: &Stage<J>, key: &Key) -> Result<bool> {
        if self.wait.left().is_zero() {
            return Ok(false);
        }
        let Ok(_permit) = self.shared.waiters.try_acquire() else { return Ok(false) };
        // Nobody waits for a client that has left.
        if !stage.begin_waiting() {
            return Ok(false);
        }
        let settled = self.wait.round(self.shared.store(), key).await;
        stage.end_waiting();
        settled
    }
}
