//! Removing expired records at a caller's request.

use super::look_up::look_up;
use crate::error::closed;
use crate::handle::calls::Handle;
use crate::storage::tables::expired::FoundExpired;
use crate::thread;
use crate::writer::queue::queued_sweep::QueuedSweep;
use crate::writer::queue::sweep_plan::SweepPlan;
use idem_core::error::Operation;
use idem_core::{Expired, Result};
use std::sync::Arc;
use tokio::sync::oneshot;
/// How many records one `expire` looks up at a time: few enough for the writer to remove them well within the call
/// timeout.
const LOOK_AHEAD_OF_A_CALL: usize = 4_096;

/// [`Store::expire`](idem_core::Store::expire): at most `budget` removals.
pub(crate) async fn expire(store: &Arc<Handle>, budget: usize) -> Result<Expired> {
    let mut removed = 0;
    loop {
        let wanted = (budget - removed).min(LOOK_AHEAD_OF_A_CALL);
        let found = look_up_blocking(store, wanted.max(1)).await?;
        if wanted == 0 || found.is_empty() {
            return Ok(Expired { removed, more: found.expired() > 0 || found.is_truncated });
        }
        let (found_any, is_truncated) = (found.expired() > 0, found.is_truncated);
        let took = hand_over(store, SweepPlan::new(found, false)).await?;
        removed += took;
        if took == 0 && (found_any || is_truncated) {
            // They were removed or locked again meanwhile, or many renewed locks precede the expired ones.
            return Ok(Expired { removed, more: true });
        }
    }
}

async fn hand_over(store: &Arc<Handle>, plan: SweepPlan) -> Result<usize> {
    let (reply, answer) = oneshot::channel();
    let handed = async {
        let sent = store.queue.awaited_sweeps.send(QueuedSweep::awaited(plan, reply)).await;
        sent.map_err(|_| closed(Operation::Expire))
    };
    store.answered(Operation::Expire, store.state.config.call_timeout, handed, answer).await
}

async fn look_up_blocking(store: &Arc<Handle>, limit: usize) -> Result<FoundExpired> {
    let look_up = || {
        let store = Arc::clone(store);
        thread::run_blocking(Operation::Expire, move || look_up(&store, limit))
    };
    let mut found = store.retry_while_away(Operation::Expire, look_up).await?;
    // The limit is for outcomes and locks together.
    found.locks.truncate(limit - found.outcomes.len());
    Ok(found)
}
