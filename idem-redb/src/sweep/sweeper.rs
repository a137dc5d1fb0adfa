//! The background sweeper. It looks up expired records; the writer removes them, a chunk with each of its commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};

use idem_core::error::Operation;
use idem_core::{Result, metrics};
use tokio::sync::oneshot;

use super::look_up::look_up;
use crate::error::closed;
use crate::handle::calls::Handle;
use crate::thread;
use crate::writer::queue::queued_sweep::QueuedSweep;
use crate::writer::queue::sweep_plan::SweepPlan;

/// How many expired outcomes, and how many locks, the sweeper looks up at a time; each takes 64 bytes, twice. The more
/// there are, the more of them are neighbours in the index.
const LOOK_AHEAD: usize = 32_768;
/// Sweeps every `sweep_interval` until the store is gone, which closes `stop`.
pub(crate) fn spawn(store: &Arc<Handle>, stop: Receiver<()>) -> Result<()> {
    let interval = store.state.config.sweep_interval;
    let store = Arc::downgrade(store);
    let sweep = move || {
        while matches!(stop.recv_timeout(interval), Err(RecvTimeoutError::Timeout)) {
            // Retried at the next interval.
            if let Err(error) = sweep_all(&store) {
                tracing::debug!(error = &error as &dyn std::error::Error, "a sweep was cut short");
            }
        }
    };
    thread::spawn("idem-redb sweeper", sweep)
}

/// Removes all expired records. Holds the store only while it looks records up, not while the writer removes them, so
/// that a store without other handles can end.
fn sweep_all(store: &Weak<Handle>) -> Result<()> {
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
