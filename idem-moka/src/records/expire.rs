//! Removing what has expired: a little along with other calls, the rest when asked.

use idem_core::Expired;
use idem_core::clock::Timestamp;
use tokio::task::yield_now;

use crate::evict::EvictableRecords;
use crate::records::Records;
use crate::shard::{Kind, Shard, ShardRecords};
use crate::usage::Limit;

/// Records removed before other tasks get their turn: some ten microseconds.
const STEP: usize = 16;
/// Records that a refused call removes to make room, so that it stays a short one.
const ROOM: usize = 32;
/// Notes looked at for each record to be removed, most of which may be outdated.
const LOOKS: usize = 4;

impl Records {
    /// Removes at most `budget` expired records.
    ///
    /// # Cancel safety
    /// Safe: some of them are removed.
    pub(crate) async fn expire(&self, budget: usize) -> Expired {
        let now = self.clock.now();
        let mut all = Swept::default();
        for kind in [Kind::Completed, Kind::Locked] {
            for group in self.shards.due(kind, now) {
                for shard in self.shards.group(group) {
                    all.more |= self.expire_in(shard, kind, now, budget, &mut all.removed).await;
                    if all.more && all.removed == budget {
                        return Expired { removed: all.removed, more: true };
                    }
                }
                self.shards.look_anew(group, kind);
                yield_now().await;
            }
        }
        if let Some(evictable) = &self.evictable {
            let swept = self.expire_evictable(evictable, now, budget - all.removed).await;
            all = Swept { removed: all.removed + swept.removed, more: all.more || swept.more };
        }
        Expired { removed: all.removed, more: all.more }
    }

    /// Says whether there is more.
    async fn expire_in(
        &self,
        shard: &Shard,
        kind: Kind,
        now: Timestamp,
        budget: usize,
        removed: &mut usize,
    ) -> bool {
        loop {
            let step = STEP.min(budget - *removed);
            let swept = self.sweep(&mut shard.write(), kind, now, step);
            *removed += swept.removed;
            if swept.removed > 0 || swept.more {
                yield_now().await;
            }
            if !swept.more || *removed == budget {
                return swept.more;
            }
        }
    }

    /// Removes some expired records of the kind that `limit` counts; false: there were none.
    pub(crate) fn make_room(&self, limit: Limit) -> bool {
        let now = self.clock.now();
        let kinds: &[Kind] = match limit {
            Limit::Locks | Limit::Checkpoints => &[Kind::Locked],
            Limit::Entries | Limit::Bytes => &[Kind::Completed, Kind::Locked],
        };
        let mut removed = 0;
        for kind in kinds {
            for group in self.shards.due(*kind, now) {
                for shard in self.shards.group(group) {
                    if removed < ROOM && shard.read().is_due(*kind, now) {
                        removed += self.sweep(&mut shard.write(), *kind, now, ROOM - removed).removed;
                    }
                }
                if removed >= ROOM {
                    return true;
                }
                self.shards.look_anew(group, *kind);
            }
        }
        removed > 0
    }

    fn sweep(&self, records: &mut ShardRecords, kind: Kind, now: Timestamp, budget: usize) -> Swept {
        let removed = self.sweep_along(records, kind, now, budget);
        Swept { removed, more: records.of(kind).has_expired(now) }
    }

    /// Removes at most `budget` expired records of `kind` from a shard.
    pub(crate) fn sweep_along(
        &self,
        records: &mut ShardRecords,
        kind: Kind,
        now: Timestamp,
        budget: usize,
    ) -> usize {
        let (mut removed, mut looks) = (0, LOOKS * budget);
        while removed < budget
            && let Some(entry) = records.of(kind).pop_expired(now, &mut looks)
        {
            match kind {
                Kind::Locked => self.usage.unlock(&entry.scope, entry.checkpoint_bytes()),
                Kind::Completed => self.usage.forget(&entry.scope, entry.outcome_bytes()),
            }
            removed += 1;
        }
        removed
    }
}

impl Records {
    /// The same for the records that may be evicted.
    async fn expire_evictable(&self, evictable: &EvictableRecords, now: Timestamp, budget: usize) -> Swept {
        let mut all = Swept::default();
        for part in 0..evictable.parts() {
            loop {
                let step = STEP.min(budget - all.removed);
                let (removed, more) = {
                    let _changes_nothing_meanwhile = self.shards.at(part).write();
                    evictable.sweep(part, now, step)
                };
                all.removed += removed;
                if removed > 0 {
                    yield_now().await;
                }
                if !more || all.removed == budget {
                    all.more |= more;
                    break;
                }
            }
        }
        if all.removed > 0 {
            // moka holds on to removed records until it is used again.
            evictable.run_pending_tasks();
        }
        all
    }
}

/// What a part of a sweep came to.
#[derive(Debug, Default)]
struct Swept {
    removed: usize,
    /// Whether there may be more.
    more: bool,
}
