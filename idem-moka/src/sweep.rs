//! Removing what has expired: a little along with other calls, the rest when asked.

use idem_core::{Expired, Timestamp};
use tokio::task::yield_now;

use crate::locked::LockedRecords;
use crate::records::Records;
use crate::shard::Shard;
use crate::usage::Limit;

/// Records removed before other tasks get their turn: some ten microseconds.
const STEP: usize = 16;
/// Records that a refused call removes to make room, so that it stays a short one.
const ROOM: usize = 32;

impl Records {
    /// Removes at most `budget` expired records.
    ///
    /// # Cancel safety
    /// Safe: some of them are removed.
    pub(crate) async fn expire(&self, budget: usize) -> Expired {
        let now = self.clock.now();
        let mut removed = 0;
        for shard in self.shards.iter() {
            while removed < budget {
                let step = STEP.min(budget - removed);
                let swept = self.sweep(shard, &mut shard.locked(), now, step);
                removed += swept;
                if swept > 0 {
                    yield_now().await;
                }
                if swept < step {
                    break;
                }
            }
        }
        if removed > 0 {
            // moka holds on to removed records until it is used again.
            self.completed.settle();
        }
        Expired { removed, more: self.shards.iter().any(|shard| is_due(shard, now)) }
    }

    /// Removes some expired records of the kind that `limit` counts; false: there were none.
    pub(crate) fn make_room(&self, limit: Limit) -> bool {
        let now = self.clock.now();
        let mut removed = 0;
        for shard in self.shards.iter() {
            let mut locked = shard.locked();
            removed += match limit {
                Limit::Locks | Limit::Checkpoints => self.sweep_locked(&mut locked, now, ROOM - removed),
                Limit::Entries | Limit::Bytes => self.sweep(shard, &mut locked, now, ROOM - removed),
            };
            if removed >= ROOM {
                break;
            }
        }
        removed > 0
    }

    /// Removes at most `budget` expired records of `shard`, whose lock is `locked`.
    fn sweep(&self, shard: &Shard, locked: &mut LockedRecords, now: Timestamp, budget: usize) -> usize {
        let mut removed = self.sweep_locked(locked, now, budget);
        while removed < budget {
            // Apart from the call below: moka is never called under this lock.
            let due = shard.due().pop_due(now);
            let Some(handle) = due else { break };
            removed += usize::from(self.completed.remove_expired(handle, now));
        }
        removed
    }

    pub(crate) fn sweep_locked(&self, locked: &mut LockedRecords, now: Timestamp, budget: usize) -> usize {
        let mut removed = 0;
        while removed < budget
            && let Some(key) = locked.due(now)
            && let Some(record) = locked.remove(&key)
        {
            self.usage.unlock(&record.scope, record.checkpoint_bytes());
            removed += 1;
        }
        removed
    }
}

fn is_due(shard: &Shard, now: Timestamp) -> bool {
    shard.locked().due(now).is_some() || shard.due().is_due(now)
}
