//! Removing what has expired, in steps that a caller beside it does not notice.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;

use idem_core::{Error, ErrorKind, Expired, Key, Operation, Result};
use tokio::sync::oneshot;

use crate::inner::Inner;
use crate::queue::{Message, QueuedSweep, Swept};
use crate::slot::closed;
use crate::snapshot;

/// Removals that share a commit with callers. Each may touch a page of its own, and pages are what a commit
/// costs: 32 of them take about a millisecond.
const STEP_IN_COMPANY: usize = 32;
/// Removals of a commit that no caller waits for, a few milliseconds.
const STEP_ALONE: usize = 128;
/// How many expired keys are looked up at a time.
const LOOK_AHEAD: usize = 1_024;

/// Sweeps every `sweep_interval` until the store is gone, which closes `stop`.
pub(crate) fn spawn(store: &Arc<Inner>, stop: Receiver<()>) -> Result<()> {
    let interval = store.shared.config.sweep_interval;
    let store = Arc::downgrade(store);
    let sweep = move || {
        while matches!(stop.recv_timeout(interval), Err(RecvTimeoutError::Timeout)) {
            let Some(store) = store.upgrade() else { return };
            // The next interval tries again.
            if let Err(error) = sweep_all(&store) {
                tracing::debug!(%error, "a sweep was cut short");
            }
        }
    };
    thread::Builder::new().name("idem-redb sweeper".to_owned()).spawn(sweep).map(drop).map_err(|source| {
        Error::new(ErrorKind::Unavailable, Operation::Open, "the sweeper's thread cannot be started")
            .with_source(source)
    })
}

/// Removes all that has expired, but stops once nobody else holds the store.
fn sweep_all(store: &Arc<Inner>) -> Result<()> {
    let mut step = STEP_IN_COMPANY;
    loop {
        let keys = look_up(store, LOOK_AHEAD)?;
        let mut removed = 0;
        let mut rest = &keys[..];
        while !rest.is_empty() {
            if Arc::strong_count(store) == 1 {
                return Ok(());
            }
            let (now, later) = rest.split_at(step.min(rest.len()));
            let (message, answer) = message(now);
            store.queue.blocking_send(message).map_err(|_| closed(Operation::Expire))?;
            let swept = answer.blocking_recv().map_err(|_| closed(Operation::Expire))??;
            step = step_after(swept);
            removed += swept.removed;
            rest = later;
        }
        if removed == 0 {
            return Ok(());
        }
    }
}

/// [`Store::expire`](idem_core::Store::expire): at most `budget` removals, in the same steps.
pub(crate) async fn expire(store: &Arc<Inner>, budget: usize) -> Result<Expired> {
    let mut removed = 0;
    let mut step = STEP_IN_COMPANY;
    loop {
        let wanted = (budget - removed).min(LOOK_AHEAD);
        let keys = look_up_elsewhere(store, wanted.max(1)).await?;
        if wanted == 0 || keys.is_empty() {
            return Ok(Expired { removed, more: !keys.is_empty() });
        }
        let before = removed;
        let mut rest = &keys[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(step.min(rest.len()));
            let (message, answer) = message(now);
            let swept = store.ask(Operation::Expire, message, answer).await?;
            step = step_after(swept);
            removed += swept.removed;
            rest = later;
        }
        if removed == before {
            // All of them were locked anew meanwhile.
            return Ok(Expired { removed, more: true });
        }
    }
}

async fn look_up_elsewhere(store: &Arc<Inner>, limit: usize) -> Result<Vec<Key>> {
    let store = Arc::clone(store);
    let looked_up = tokio::task::spawn_blocking(move || look_up(&store, limit)).await;
    looked_up.unwrap_or_else(|source| {
        Err(Error::new(ErrorKind::Unavailable, Operation::Expire, "the look-up was cut off")
            .with_source(source))
    })
}

fn look_up(store: &Inner, limit: usize) -> Result<Vec<Key>> {
    let looked_up = store.shared.slot.scan(|txn| snapshot::expired(txn, store.shared.clock.now(), limit));
    looked_up.map_err(|failure| store.failed_read(failure, Operation::Expire))
}

fn message(keys: &[Key]) -> (Message, oneshot::Receiver<Result<Swept>>) {
    let (reply, answer) = oneshot::channel();
    (Message::Sweep(QueuedSweep { keys: keys.to_vec(), reply }), answer)
}

fn step_after(swept: Swept) -> usize {
    if swept.alone { STEP_ALONE } else { STEP_IN_COMPANY }
}
