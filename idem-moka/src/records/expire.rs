//! `expire`: removing expired records on request.

use idem_core::Expired;
use idem_core::clock::Timestamp;
use tokio::task::yield_now;

use crate::evict::evictable_records::EvictableRecords;
use crate::records::store_records::StoreRecords;
use crate::records::sweep::{Swept, sweep};
use crate::shards::shard::{Kind, Shard};

/// Records removed before yielding to other tasks: some ten microseconds.
const STEP: usize = 16;

impl StoreRecords {
    /// Removes at most `budget` expired records.
    ///
    /// # Cancel safety
    /// Safe: some of the expired records may have been removed.
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
                self.shards.refresh_next_expiry(group, kind);
                yield_now().await;
            }
        }
        if let Some(evictable) = &self.evictable {
            let swept = self.expire_evictable(evictable, now, budget - all.removed).await;
            all = Swept { removed: all.removed + swept.removed, more: all.more || swept.more };
        }
        Expired { removed: all.removed, more: all.more }
    }

    /// Removes expired records of one shard; returns whether more remain.
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
            let swept = sweep(&self.usage, &mut shard.write(), kind, now, step);
            *removed += swept.removed;
            if swept.removed > 0 || swept.more {
                yield_now().await;
            }
            if !swept.more || *removed == budget {
                return swept.more;
            }
        }
    }

    /// Removes expired records that are in moka.
    async fn expire_evictable(&self, evictable: &EvictableRecords, now: Timestamp, budget: usize) -> Swept {
        let mut all = Swept::default();
        for part in 0..evictable.parts() {
            loop {
                let step = STEP.min(budget - all.removed);
                let (removed, more) = {
                    let _no_other_change = self.shards.at(part).write();
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
            // moka keeps removed records in memory until it is used again.
            evictable.run_pending_tasks();
        }
        all
    }
}
