//! Removing what has expired, in steps that a caller beside it does not notice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use idem_core::{Error, ErrorKind, Expired, Key, Operation, Result, metrics};
use tokio::sync::oneshot;

use crate::error::closed;
use crate::inner::Inner;
use crate::queue::{Message, QueuedSweep, SweepStep, Swept};
use crate::schema::{Place, index_key};
use crate::snapshot::{self, FoundExpired};
use crate::thread;

/// Removals that share a commit with callers, and those of a commit that nobody else waits for. Pages are what a
/// commit costs, and neighbours share theirs.
const STEP_IN_COMPANY: usize = 32;
const STEP_ALONE: usize = 256;
/// How many expired records are looked up at a time, at 64 bytes each: the more, the more of them are neighbours
/// in the index.
const LOOK_AHEAD: usize = 32_768;

/// Sweeps every `sweep_interval` until the store is gone, which closes `stop`.
pub(crate) fn spawn(store: &Arc<Inner>, stop: Receiver<()>) -> Result<()> {
    let interval = store.shared.config.sweep_interval;
    let store = Arc::downgrade(store);
    let sweep = move || {
        while matches!(stop.recv_timeout(interval), Err(RecvTimeoutError::Timeout)) {
            let Some(store) = store.upgrade() else { return };
            // The next interval tries again.
            if let Err(error) = sweep_all(&store) {
                tracing::debug!(error = &error as &dyn std::error::Error, "a sweep was cut short");
            }
        }
    };
    thread::spawn("idem-redb sweeper", sweep)
}

/// Removes all that has expired, but stops once nobody else holds the store.
fn sweep_all(store: &Arc<Inner>) -> Result<()> {
    loop {
        let mut steps = Steps::new(look_up(store, LOOK_AHEAD)?);
        let mut removed = 0;
        while let Some((message, answer)) = steps.next() {
            if Arc::strong_count(store) == 1 {
                return Ok(());
            }
            store.queue.blocking_send(message).map_err(|_| closed(Operation::Expire))?;
            let swept = answer.blocking_recv().map_err(|_| closed(Operation::Expire))??;
            let took = steps.took(swept);
            metrics::expired(took as u64);
            removed += took;
        }
        if removed == 0 {
            return Ok(());
        }
    }
}

/// [`Store::expire`](idem_core::Store::expire): at most `budget` removals, in the same steps.
pub(crate) async fn expire(store: &Arc<Inner>, budget: usize) -> Result<Expired> {
    let mut removed = 0;
    loop {
        let wanted = (budget - removed).min(LOOK_AHEAD);
        let found = look_up_elsewhere(store, wanted.max(1)).await?;
        let none = found.completed.is_empty() && found.locked.is_empty();
        if wanted == 0 || none {
            return Ok(Expired { removed, more: !none });
        }
        let before = removed;
        let mut steps = Steps::new(found);
        while let Some((message, answer)) = steps.next() {
            removed += steps.took(store.ask(Operation::Expire, message, answer).await?);
        }
        if removed == before {
            // All of them were removed or locked anew meanwhile.
            return Ok(Expired { removed, more: true });
        }
    }
}

/// A sweep's way through what was found: first the index in the order of its keys, then the outcomes in theirs,
/// then the locks. Each step so touches few pages, where removing record by record would touch two scattered ones
/// for each. A sweep that ends in between leaves outcomes that the index has forgotten, for the next one.
struct Steps {
    index: VecDeque<(Key, Place)>,
    outcomes: VecDeque<(Key, Place)>,
    locks: VecDeque<Key>,
    size: usize,
}

impl Steps {
    fn new(found: FoundExpired) -> Self {
        let mut index = found.completed.clone();
        index.sort_unstable_by_key(|(key, _)| index_key(key));
        Self {
            index: index.into(),
            outcomes: found.completed.into(),
            locks: found.locked.into(),
            size: STEP_IN_COMPANY,
        }
    }

    fn next(&mut self) -> Option<(Message, oneshot::Receiver<Result<Swept>>)> {
        fn take<T>(from: &mut VecDeque<T>, size: usize) -> Option<Vec<T>> {
            (!from.is_empty()).then(|| from.drain(..size.min(from.len())).collect())
        }
        let step = take(&mut self.index, self.size)
            .map(SweepStep::Index)
            .or_else(|| take(&mut self.outcomes, self.size).map(SweepStep::Outcomes))
            .or_else(|| take(&mut self.locks, self.size).map(SweepStep::Locks))?;
        let (reply, answer) = oneshot::channel();
        Some((Message::Sweep(QueuedSweep { step, reply }), answer))
    }

    fn took(&mut self, swept: Swept) -> usize {
        self.size = if swept.alone { STEP_ALONE } else { STEP_IN_COMPANY };
        swept.removed
    }
}

async fn look_up_elsewhere(store: &Arc<Inner>, limit: usize) -> Result<FoundExpired> {
    let store = Arc::clone(store);
    let looked_up = tokio::task::spawn_blocking(move || look_up(&store, limit)).await;
    looked_up.unwrap_or_else(|source| {
        Err(Error::new(ErrorKind::Unavailable, Operation::Expire, "the look-up was cut off")
            .with_source(source))
    })
}

fn look_up(store: &Inner, limit: usize) -> Result<FoundExpired> {
    let looked_up = store.shared.slot.scan(|txn| snapshot::expired(txn, store.shared.time.now(), limit));
    looked_up.map_err(|failure| store.failed_read(failure, Operation::Expire))
}
