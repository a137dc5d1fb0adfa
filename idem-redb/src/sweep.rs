//! Removing what has expired. What has is looked up here; the writer removes it, a bite with each of its commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};

use idem_core::error::Operation;
use idem_core::{Expired, Result, metrics};
use tokio::sync::oneshot;

use crate::error::{Failure, closed};
use crate::expired::{self, FoundExpired};
use crate::inner::Inner;
use crate::sweep_plan::{QueuedSweep, SweepPlan};
use crate::thread;

/// How many expired outcomes, and how many locks, the sweeper looks up at a time, at 64 bytes each and twice: the
/// more, the more of them are neighbours in the index.
const LOOK_AHEAD: usize = 32_768;
/// How many records one `expire` looks up at a time: so few that the writer is through with them well within a
/// call's time.
const LOOK_AHEAD_OF_A_CALL: usize = 4_096;

/// Sweeps every `sweep_interval` until the store is gone, which closes `stop`.
pub(crate) fn spawn(store: &Arc<Inner>, stop: Receiver<()>) -> Result<()> {
    let interval = store.shared.config.sweep_interval;
    let store = Arc::downgrade(store);
    let sweep = move || {
        while matches!(stop.recv_timeout(interval), Err(RecvTimeoutError::Timeout)) {
            // The next interval tries again.
            if let Err(error) = sweep_all(&store) {
                tracing::debug!(error = &error as &dyn std::error::Error, "a sweep was cut short");
            }
        }
    };
    thread::spawn("idem-redb sweeper", sweep)
}

/// Removes all that has expired. Holds the store while it looks, and not while the writer removes: a store that
/// everybody else has let go of ends.
fn sweep_all(store: &Weak<Inner>) -> Result<()> {
    loop {
        let Some(store) = store.upgrade() else { return Ok(()) };
        let found = look_up(&store, LOOK_AHEAD);
        let found = found.map_err(|failure| store.failed_read(failure, Operation::Expire))?;
        let is_behind = found.outcomes.len() == LOOK_AHEAD || found.locks.len() == LOOK_AHEAD;
        if found.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let sweeps = store.queue.sweeps.clone();
        drop(store);
        let sweep = QueuedSweep::of_sweeper(SweepPlan::new(found, is_behind), reply);
        sweeps.blocking_send(sweep).map_err(|_| closed(Operation::Expire))?;
        let removed = answer.blocking_recv().map_err(|_| closed(Operation::Expire))??;
        metrics::expired(removed as u64);
    }
}

/// [`Store::expire`](idem_core::Store::expire): at most `budget` removals.
pub(crate) async fn expire(store: &Arc<Inner>, budget: usize) -> Result<Expired> {
    let mut removed = 0;
    loop {
        let wanted = (budget - removed).min(LOOK_AHEAD_OF_A_CALL);
        let found = look_up_elsewhere(store, wanted.max(1)).await?;
        if wanted == 0 || found.is_empty() {
            return Ok(Expired { removed, more: found.expired() > 0 || found.cut });
        }
        let (found_any, cut) = (found.expired() > 0, found.cut);
        let took = hand_over(store, SweepPlan::new(found, false)).await?;
        removed += took;
        if took == 0 && (found_any || cut) {
            // They were removed or locked anew meanwhile, or there are many renewed locks before the expired ones.
            return Ok(Expired { removed, more: true });
        }
    }
}

async fn hand_over(store: &Arc<Inner>, plan: SweepPlan) -> Result<usize> {
    let (reply, answer) = oneshot::channel();
    let handed = async {
        let sent = store.queue.awaited_sweeps.send(QueuedSweep::awaited(plan, reply)).await;
        sent.map_err(|_| closed(Operation::Expire))
    };
    store.answered(Operation::Expire, store.shared.config.call_timeout, handed, answer).await
}

async fn look_up_elsewhere(store: &Arc<Inner>, limit: usize) -> Result<FoundExpired> {
    let look_up = || {
        let store = Arc::clone(store);
        thread::elsewhere(Operation::Expire, move || look_up(&store, limit))
    };
    let mut found = store.once_it_is_back(Operation::Expire, look_up).await?;
    // The limit is for both together.
    found.locks.truncate(limit - found.outcomes.len());
    Ok(found)
}

/// At most `limit` outcomes, and as many locks.
fn look_up(store: &Inner, limit: usize) -> Result<FoundExpired, Failure> {
    store.shared.slot.scan(|txn| expired::expired(txn, store.shared.time.now(), (limit, limit)))
}
