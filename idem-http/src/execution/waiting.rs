//! Retries that wait for a running request. They hold no lease, so their waiting ends when their client leaves.

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

    /// Waits until the request that runs under `key` has ended, or may have. False when the waiting time is over, or too
    /// many wait already. The waiting request is dropped when its client leaves meanwhile.
    pub(crate) async fn wait_once<H>(&mut self, stage: &Stage<H>, key: &Key) -> Result<bool> {
        if self.wait.left().is_zero() {
            return Ok(false);
        }
        let Ok(_permit) = self.shared.waiters.try_acquire() else { return Ok(false) };
        // A client that has left needs no waiting.
        if !stage.begin_waiting() {
            return Ok(false);
        }
        let settled = self.wait.round(self.shared.store(), key).await;
        stage.end_waiting();
        settled
    }
}
