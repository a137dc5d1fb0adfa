//! Removing what has expired. What has is looked up here; the writer removes it, a bite with each of its commits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use idem_core::{Expired, Operation, Result, metrics};
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
/// How many locks are looked at in search of those without a note, by the sweeper and by a call: some milliseconds, and
/// less than one.
const LOOKED_THROUGH: usize = 1_024;
const LOOKED_THROUGH_BY_A_CALL: usize = 64;
/// How long the sweeper rests between two of these looks: a million locks take it a minute, and a sixth of a core.
const REST_OF_A_SEARCH: Duration = Duration::from_millis(50);

/// Sweeps every `sweep_interval` until the store is gone, which closes `stop`.
pub(crate) fn spawn(store: &Arc<Inner>, stop: Receiver<()>) -> Result<()> {
    let interval = store.shared.config.sweep_interval;
    let store = Arc::downgrade(store);
    let sweep = move || {
        let mut rest = interval;
        while matches!(stop.recv_timeout(rest), Err(RecvTimeoutError::Timeout)) {
            rest = match sweep_all(&store) {
                Ok(Searched::Some) => interval.min(REST_OF_A_SEARCH),
                Ok(Searched::All) => interval,
                // The next interval tries again.
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a sweep was cut short");
                    interval
                }
            };
        }
    };
    thread::spawn("idem-redb sweeper", sweep)
}

/// How many of the locks were looked at that may lack a note.
enum Searched {
    Some,
    All,
}

/// Removes all that has expired. Holds the store while it looks, and not while the writer removes: a store that
/// everybody else has let go of ends.
fn sweep_all(store: &Weak<Inner>) -> Result<Searched> {
    loop {
        let Some(store) = store.upgrade() else { return Ok(Searched::All) };
        let found = look_up(&store, LOOK_AHEAD, LOOKED_THROUGH);
        let found = found.map_err(|failure| store.failed_read(failure, Operation::Expire))?;
        let is_behind = found.outcomes.len() == LOOK_AHEAD || found.locks.len() == LOOK_AHEAD;
        if found.is_empty() {
            return Ok(if store.shared.unnoted.is_over() { Searched::All } else { Searched::Some });
        }
        let passed = found.unnoted.passed;
        let only_searched = found.expired() + found.notes.len() == 0;
        let shared = Arc::clone(&store.shared);
        let (reply, answer) = oneshot::channel();
        let sweeps = store.queue.sweeps.clone();
        drop(store);
        let sweep = QueuedSweep::of_sweeper(SweepPlan::new(found, is_behind), reply);
        sweeps.blocking_send(sweep).map_err(|_| closed(Operation::Expire))?;
        let removed = answer.blocking_recv().map_err(|_| closed(Operation::Expire))??;
        shared.unnoted.passed(passed);
        metrics::expired(removed as u64);
        if only_searched {
            return Ok(Searched::Some);
        }
    }
}

/// [`Store::expire`](idem_core::Store::expire): at most `budget` removals.
pub(crate) async fn expire(store: &Arc<Inner>, budget: usize) -> Result<Expired> {
    let mut removed = 0;
    loop {
        let wanted = (budget - removed).min(LOOK_AHEAD_OF_A_CALL);
        let found = look_up_elsewhere(store, wanted.max(1)).await?;
        if wanted == 0 || found.is_empty() {
            // A search that goes on may find more.
            let more = found.expired() > 0 || found.cut || !store.shared.unnoted.is_over();
            return Ok(Expired { removed, more });
        }
        let passed = found.unnoted.passed;
        let (found_any, cut) = (found.expired() + found.unnoted.locks.len() > 0, found.cut);
        let took = hand_over(store, SweepPlan::new(found, false)).await?;
        store.shared.unnoted.passed(passed);
        removed += took;
        if took == 0 && (found_any || cut) {
            // They were removed or locked anew meanwhile, or there are many renewed locks before the expired ones, or
            // some have just got the notes by which they are found next.
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
        thread::elsewhere(Operation::Expire, move || look_up(&store, limit, LOOKED_THROUGH_BY_A_CALL))
    };
    let mut found = store.once_it_is_back(Operation::Expire, look_up).await?;
    // The limit is for both together.
    found.locks.truncate(limit - found.outcomes.len());
    Ok(found)
}

/// At most `limit` outcomes, and as many locks; and of the locks that may lack a note, some.
fn look_up(store: &Inner, limit: usize, looked_through: usize) -> Result<FoundExpired, Failure> {
    let shared = &store.shared;
    let now = shared.time.now();
    let young = shared.young().expired(now, limit);
    shared.slot.scan(|txn| {
        let mut found = expired::expired(txn, now, (limit, limit), young)?;
        found.unnoted = shared.unnoted.look(txn, looked_through)?;
        let young = shared.young();
        found.unnoted.locks.retain(|(_, place)| !young.contains(*place));
        drop(young);
        if found.unnoted.locks.is_empty() {
            shared.unnoted.passed(found.unnoted.passed);
        }
        Ok(found)
    })
}
