//! Removing expired records from shards, a few with each call that adds one.

use idem_core::clock::Timestamp;

use crate::accounting::usage::{Limit, Usage};
use crate::shards::shard::{Kind, ShardRecords, Shards};

/// Most records that a refused call removes to make room, so that the call stays short.
const ROOM: usize = 32;
/// Notes read for each record to be removed. Most of them may be outdated.
const LOOKS: usize = 4;

/// The result of a part of a sweep.
#[derive(Debug, Default)]
pub(super) struct Swept {
    pub(super) removed: usize,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// Removes some expired records of the kind that `limit` counts; returns whether there were any.
pub(super) fn make_room(shards: &Shards, usage: &Usage, now: Timestamp, limit: Limit) -> bool {
    let kinds: &[Kind] = match limit {
        Limit::Locks | Limit::Checkpoints => &[Kind::Locked],
        Limit::Entries | Limit::Bytes => &[Kind::Completed, Kind::Locked],
    };
    let mut removed = 0;
    for kind in kinds {
        for group in shards.due(*kind, now) {
            for shard in shards.group(group) {
                if removed < ROOM && shard.read().is_due(*kind, now) {
                    removed += sweep(usage, &mut shard.write(), *kind, now, ROOM - removed).removed;
                }
            }
            if removed >= ROOM {
                return true;
            }
            shards.refresh_next_expiry(group, *kind);
        }
    }
    removed > 0
}

pub(super) fn sweep(
    usage: &Usage,
    records: &mut ShardRecords,
    kind: Kind,
    now: Timestamp,
    budget: usize,
) -> Swept {
    let removed = remove_expired(usage, records, kind, now, budget);
    Swept { removed, more: records.of(kind).has_expired(now) }
}

/// Removes at most `budget` expired records of `kind` from a shard.
pub(super) fn remove_expired(
    usage: &Usage,
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
            Kind::Locked => usage.unlock(&entry.scope, entry.checkpoint_bytes()),
            Kind::Completed => usage.forget(&entry.scope, entry.outcome_bytes()),
        }
        removed += 1;
    }
    removed
}
