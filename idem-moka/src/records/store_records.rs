//! All records of a store, and the only way to change them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idem_core::backend::{Answer, Applied, Call, Change, Sent, StoreClock, decide, replay};
use idem_core::clock::Timestamp;
use idem_core::record::{Record, Replay, State};
use idem_core::{Fingerprint, Key};

use crate::accounting::usage::{Bound, MokaStats, Usage};
use crate::config::{MokaConfig, WhenFull};
use crate::evict::completed_record::CompletedRecord;
use crate::evict::evictable_records::EvictableRecords;
use crate::evict::part::NoneCompleted;
use crate::hash::{HashedKey, KeyHash};
use crate::records::sweep::{make_room, remove_expired};
use crate::shards::shard::{Kind, REMOVED_PER_CALL, ShardRecords, Shards};
use crate::shards::table::{Entry, checkpoint_bytes};

/// All records: locked ones are in their shards, and completed ones too, except in a store that evicts, which keeps
/// them in moka.
///
/// A key's record is in one place, and changes only under its shard's lock, as [`decide`] says.
#[derive(Debug)]
pub(crate) struct StoreRecords {
    pub(crate) shards: Shards,
    /// The completed records of a store that evicts.
    pub(crate) evictable: Option<EvictableRecords>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) clock: StoreClock,
    hash: KeyHash,
    last_sequence: AtomicU64,
}

impl StoreRecords {
    pub(crate) fn new(config: &MokaConfig, clock: StoreClock) -> Self {
        let usage = Arc::new(Usage::new(config));
        let shards = Shards::new(config, clock.source());
        let evictable = match config.when_full {
            WhenFull::Refuse => None,
            WhenFull::Evict => {
                Some(EvictableRecords::new(config, shards.len(), usage.clone(), clock.clone()))
            }
        };
        Self { shards, evictable, usage, clock, hash: KeyHash::new(), last_sequence: AtomicU64::new(0) }
    }

    pub(crate) fn hashed(&self, key: &Key) -> HashedKey {
        self.hash.hashed(key)
    }

    /// The moment of a call on `key`, by the clock of a shard that need not be the key's own: it is read before the key
    /// is hashed, and the last byte of a storage key spreads over the shards as well.
    pub(crate) fn sent(&self, key: &Key) -> Sent {
        let [.., last] = key.storage_key();
        self.shards.at(usize::from(*last) % self.shards.len()).sent()
    }

    pub(crate) fn stats(&self) -> MokaStats {
        self.usage.stats()
    }

    /// Answers a `lock` of a completed key without the exclusive lock: a completed record does not change any more.
    pub(crate) fn replay(
        &self,
        key: &HashedKey,
        lock: &Call,
        now: Timestamp,
    ) -> Result<Answer, NoneCompleted> {
        let answered = |record: &Record, now: Timestamp| {
            if record.is_expired(now) {
                return Err(NoneCompleted::UNKNOWN);
            }
            let decision = decide(Some(record), lock.clone(), now);
            match decision.change {
                Change::None => Ok(decision.answer),
                Change::Put(_) | Change::Remove => Err(NoneCompleted::UNKNOWN),
            }
        };
        self.with_completed(key, || now, answered)?
    }

    /// The result of `see` for the completed record of `key`, without the exclusive lock. `now` is called only
    /// where there is a record.
    fn with_completed<T>(
        &self,
        key: &HashedKey,
        now: impl FnOnce() -> Timestamp,
        see: impl FnOnce(&Record, Timestamp) -> T,
    ) -> Result<T, NoneCompleted> {
        if let Some(evictable) = &self.evictable {
            let completed = evictable.find(key)?;
            let now = now();
            return Ok(see(&completed.record(now), now));
        }
        let records = self.shards.of(key.hash_value()).read();
        let Some(entry) = records.completed.get(key) else { return Err(NoneCompleted::UNKNOWN) };
        Ok(see(&entry.record, now()))
    }

    /// The completion of `key`, if it has one; as [`replay`](Self::replay), without the exclusive lock.
    pub(crate) fn peek(&self, key: &HashedKey, fingerprint: &Fingerprint) -> Option<Replay> {
        let now = || self.clock.when(&self.sent(key.key()));
        self.with_completed(key, now, |record, now| replay(record, fingerprint, now)).ok()?
    }

    /// Carries out `call` as one atomic step. If a bound refuses it, makes room and tries once more.
    pub(crate) fn call(
        &self,
        key: &HashedKey,
        call: Call,
        sent: Timestamp,
        seen: NoneCompleted,
    ) -> Result<Applied, Bound> {
        // No bound ever refuses a holder.
        let may_be_refused = matches!(call, Call::Lock { .. });
        let again = may_be_refused.then(|| call.clone());
        match (self.step(key, call, sent, seen), again) {
            (Err(bound), Some(call))
                if make_room(&self.shards, &self.usage, self.clock.now(), bound.limit()) =>
            {
                self.step(key, call, sent, NoneCompleted::UNKNOWN)
            }
            (done, _) => done,
        }
    }

    pub(crate) fn get(&self, key: &HashedKey) -> Option<Record> {
        let records = self.shards.of(key.hash_value()).read();
        let now = self.clock.now();
        let record = match records.locked.get(key) {
            Some(locked) => locked.record.clone(),
            None => self.completed(&records, key)?,
        };
        (!record.is_expired(now)).then_some(Record { as_of: now, ..record })
    }

    /// The completed record of `key`, whose shard's lock is held, expired or not.
    fn completed(&self, records: &ShardRecords, key: &HashedKey) -> Option<Record> {
        match &self.evictable {
            None => records.completed.get(key).map(|entry| entry.record.clone()),
            Some(evictable) => evictable.get(key).map(|kept| kept.record(Timestamp::default())),
        }
    }

    fn step(
        &self,
        key: &HashedKey,
        mut call: Call,
        sent: Timestamp,
        seen: NoneCompleted,
    ) -> Result<Applied, Bound> {
        let mut records = self.shards.of(key.hash_value()).write();
        let now = records.time(sent);
        if let Call::Lock { min_sequence, .. } = &mut call {
            *min_sequence = self.next_sequence(now);
        }
        let decision = match (records.locked.get(key), &self.evictable) {
            (Some(locked), _) => decide(Some(&locked.record), call, now),
            (None, None) => decide(records.completed.get(key).map(|entry| &entry.record), call, now),
            (None, Some(evictable)) if evictable.is_still_none(key, seen) => decide(None, call, now),
            (None, Some(_)) => decide(self.completed(&records, key).as_ref(), call, now),
        };
        let wrote = !matches!(decision.change, Change::None);
        self.apply(&mut records, key, decision.change, now)?;
        Ok(Applied { answer: decision.answer, wrote })
    }

    fn apply(
        &self,
        records: &mut ShardRecords,
        key: &HashedKey,
        change: Change,
        now: Timestamp,
    ) -> Result<(), Bound> {
        match change {
            Change::None => return Ok(()),
            Change::Put(record) if matches!(record.state, State::Locked(_)) => {
                self.put_locked(records, key, record)?;
            }
            Change::Put(record) => self.put_completed(records, key, record, now),
            Change::Remove => {
                match records.locked.remove(key) {
                    Some(locked) => self.usage.unlock(&locked.scope, locked.checkpoint_bytes()),
                    None => self.remove_completed(records, key),
                }
                return Ok(());
            }
        }
        remove_expired(&self.usage, records, Kind::Locked, now, REMOVED_PER_CALL);
        Ok(())
    }

    fn put_locked(&self, records: &mut ShardRecords, key: &HashedKey, record: Record) -> Result<(), Bound> {
        if let Some(Entry { record: before, scope, .. }) = records.locked.get(key) {
            self.usage.checkpoint(scope, checkpoint_bytes(before), checkpoint_bytes(&record));
            records.locked.replace(key, record);
        } else {
            // An expired record makes room for the new one.
            self.remove_completed(records, key);
            let scope = self.usage.lock(key.key(), &mut records.last_scope)?;
            records.locked.insert(Entry::new(*key, record, scope));
        }
        self.shards.update_next_expiry(key.hash_value(), records, Kind::Locked);
        Ok(())
    }

    /// Replaces the locked record of `key` by its completion.
    fn put_completed(&self, records: &mut ShardRecords, key: &HashedKey, record: Record, now: Timestamp) {
        if let Some(evictable) = &self.evictable {
            let Some(locked) = records.locked.get(key) else { return };
            let Some(kept) = CompletedRecord::new(*key.key(), record, locked.scope.clone()) else { return };
            self.usage.complete(&kept.scope, locked.checkpoint_bytes(), kept.outcome_bytes());
            // Inserted into moka before it is removed here, so that every reader finds the key in one of the two
            // places.
            evictable.insert(*key, kept, now);
            records.locked.remove(key);
            return;
        }
        let Some(mut entry) = records.locked.remove(key) else { return };
        let checkpoint = entry.checkpoint_bytes();
        entry.record = record;
        self.usage.complete(&entry.scope, checkpoint, entry.outcome_bytes());
        records.completed.insert(entry);
        self.shards.update_next_expiry(key.hash_value(), records, Kind::Completed);
        let removed = remove_expired(&self.usage, records, Kind::Completed, now, REMOVED_PER_CALL);
        if removed > 0 {
            idem_core::metrics::expired(removed as u64);
        }
    }

    fn remove_completed(&self, records: &mut ShardRecords, key: &HashedKey) {
        if let Some(evictable) = &self.evictable {
            evictable.remove(key);
        } else if let Some(completed) = records.completed.remove(key) {
            self.usage.forget(&completed.scope, completed.outcome_bytes());
        }
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
