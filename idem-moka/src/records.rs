//! All records, and the one way to change them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idem_core::decide::{Answer, Call, Change, decide};
use idem_core::{Key, Record, State, StoreClock, Timestamp};

use crate::MokaConfig;
use crate::completed::{CompletedRecords, Kept};
use crate::hash::{HashedKey, KeyHash};
use crate::locked::{LockedRecord, LockedRecords};
use crate::shard::Shards;
use crate::usage::{Bound, MokaStats, Usage};

/// How many expired records of a kind a call that adds one to its shard removes: more than one, so that there
/// are ever fewer of them.
pub(crate) const SWEPT_ALONG: usize = 2;

/// All records: the locked ones in their shards, the completed ones in moka.
///
/// A key's record is in one of the two, and changes under its shard's lock only, by what [`decide`] says.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) shards: Arc<Shards>,
    pub(crate) completed: CompletedRecords,
    pub(crate) usage: Arc<Usage>,
    pub(crate) clock: StoreClock,
    hash: KeyHash,
    last_sequence: AtomicU64,
}

/// A look at the completed records that found none of a key, and when that was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoneCompleted {
    /// The shard's number of completions before the look; `None`: look again.
    at: Option<u64>,
}

impl NoneCompleted {
    pub(crate) const UNKNOWN: Self = Self { at: None };
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) answer: Answer,
    /// Whether the record was written or removed. An answer may say `Applied` without it.
    pub(crate) wrote: bool,
}

impl Records {
    pub(crate) fn new(config: &MokaConfig, clock: StoreClock) -> Self {
        let shards = Arc::new(Shards::new());
        let usage = Arc::new(Usage::new(config));
        Self {
            completed: CompletedRecords::new(config, shards.clone(), usage.clone(), clock.clone()),
            shards,
            usage,
            clock,
            hash: KeyHash::new(),
            last_sequence: AtomicU64::new(0),
        }
    }

    pub(crate) fn hashed(&self, key: &Key) -> HashedKey {
        self.hash.hashed(key)
    }

    pub(crate) fn stats(&self) -> MokaStats {
        self.usage.stats()
    }

    /// Answers a `lock` of a completed key without taking a lock: such a record does not change any more.
    pub(crate) fn replay(
        &self,
        key: &HashedKey,
        lock: &Call,
        now: Timestamp,
    ) -> Result<Answer, NoneCompleted> {
        let completions = self.shards.of(key.handle()).completions();
        let Some(kept) = self.completed.get(key) else {
            return Err(NoneCompleted { at: Some(completions) });
        };
        let record = kept.record(now);
        if record.is_expired(now) {
            return Err(NoneCompleted::UNKNOWN);
        }
        let decision = decide(Some(&record), lock.clone(), now);
        match decision.change {
            Change::None => Ok(decision.answer),
            Change::Put(_) | Change::Remove => Err(NoneCompleted::UNKNOWN),
        }
    }

    /// Carries out `call` as one atomic step; where a bound refuses it, once more after making room.
    pub(crate) fn call(&self, key: &HashedKey, call: Call, seen: NoneCompleted) -> Result<Done, Bound> {
        // No bound ever refuses a holder.
        let may_be_refused = matches!(call, Call::Lock { .. });
        let again = may_be_refused.then(|| call.clone());
        match (self.step(key, call, seen), again) {
            (Err(bound), Some(call)) if self.make_room(bound.limit()) => {
                self.step(key, call, NoneCompleted::UNKNOWN)
            }
            (done, _) => done,
        }
    }

    pub(crate) fn get(&self, key: &HashedKey) -> Option<Record> {
        let shard = self.shards.of(key.handle());
        let completions = shard.completions();
        if let Some(kept) = self.completed.get(key) {
            let record = kept.record(self.clock.now());
            if !record.is_expired(record.as_of) {
                return Some(record);
            }
        }
        let locked = shard.locked();
        let now = self.clock.now();
        let record = match locked.get(key) {
            Some(locked) => Record { as_of: now, ..locked.record.clone() },
            None if completions == shard.completions() => return None,
            None => self.completed.get(key)?.record(now),
        };
        (!record.is_expired(now)).then_some(record)
    }

    fn step(&self, key: &HashedKey, mut call: Call, seen: NoneCompleted) -> Result<Done, Bound> {
        let shard = self.shards.of(key.handle());
        let mut locked = shard.locked();
        let now = self.clock.now();
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = self.next_sequence(now);
        }
        let decision = match locked.get(key) {
            Some(locked) => decide(Some(&locked.record), call, now),
            None if seen.at == Some(shard.completions()) => decide(None, call, now),
            None => decide(self.completed_or_removed(key, now).as_ref(), call, now),
        };
        let wrote = !matches!(decision.change, Change::None);
        self.apply(&mut locked, key, decision.change, now)?;
        Ok(Done { answer: decision.answer, wrote })
    }

    /// The completed record of `key`; one that has expired makes room for what may come now.
    fn completed_or_removed(&self, key: &HashedKey, now: Timestamp) -> Option<Record> {
        let record = self.completed.get(key)?.record(now);
        if record.is_expired(now) {
            self.completed.remove(key);
            return None;
        }
        Some(record)
    }

    fn apply(
        &self,
        locked: &mut LockedRecords,
        key: &HashedKey,
        change: Change,
        now: Timestamp,
    ) -> Result<(), Bound> {
        match change {
            Change::None => {}
            Change::Put(record) => {
                if matches!(record.state, State::Locked(_)) {
                    self.put_locked(locked, key, record)?;
                } else {
                    self.put_completed(locked, key, record, now);
                }
                self.sweep_locked(locked, now, SWEPT_ALONG);
            }
            Change::Remove => match locked.remove(key) {
                Some(record) => self.usage.unlock(&record.scope, record.checkpoint_bytes()),
                None => self.completed.remove(key),
            },
        }
        Ok(())
    }

    fn put_locked(&self, locked: &mut LockedRecords, key: &HashedKey, record: Record) -> Result<(), Bound> {
        let Some(before) = locked.get(key) else {
            let scope = self.usage.lock(key.key())?;
            locked.insert(*key, record, scope);
            return Ok(());
        };
        let after = record.checkpoint().map_or(0, |checkpoint| checkpoint.progress.len() as u64);
        self.usage.checkpoint(&before.scope, before.checkpoint_bytes(), after);
        locked.replace(key, record);
        Ok(())
    }

    /// Nothing but a locked record is ever completed.
    fn put_completed(&self, locked: &mut LockedRecords, key: &HashedKey, record: Record, now: Timestamp) {
        let Some(LockedRecord { scope, .. }) = locked.get(key) else { return };
        let Some(kept) = Kept::new(record, scope.clone()) else { return };
        let checkpoint = locked.get(key).map_or(0, LockedRecord::checkpoint_bytes);
        self.usage.complete(&kept.scope, checkpoint, kept.outcome_bytes());
        self.completed.insert(*key, kept, now);
        locked.remove(key);
    }

    /// A hybrid clock over all keys, so that a key's sequences rise across its removal.
    fn next_sequence(&self, now: Timestamp) -> u64 {
        let next = |last: u64| last.saturating_add(1).max(now.as_micros());
        let last =
            self.last_sequence.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        // Never `Err`, the update is unconditional.
        last.map_or_else(next, next)
    }
}
