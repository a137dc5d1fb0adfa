//! Calls as most tests make them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::{Claim, Effect, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store};
use idem_redb::{RedbConfig, RedbStore};
use redb::Database;

use super::disk::Disk;
use super::workload::{LEASE, fingerprint, shared};

pub(crate) fn key(number: usize) -> Key {
    Key::new(&Scope::shared(), format!("key {number}")).unwrap()
}

pub(crate) fn value(number: usize) -> Outcome {
    Outcome::Value(Bytes::from(format!("outcome of key {number}")))
}

pub(crate) fn claim() -> Claim {
    Claim { owner: Owner::random().unwrap(), lease: LEASE, retention: Duration::from_hours(24) }
}

/// A configuration for a [`Disk`], without a sweeper.
pub(crate) fn config() -> RedbConfig {
    let mut config = shared_config();
    config.cache_bytes = 1 << 20;
    config
}

/// The same for a database of the application's own.
pub(crate) fn shared_config() -> RedbConfig {
    let mut config = RedbConfig::new("");
    config.sweep = false;
    config.call_timeout = Duration::from_mins(1);
    config
}

/// A new database of the application's own.
pub(crate) fn new_database() -> Arc<Database> {
    Arc::new(Database::builder().create_with_backend(Disk::new().open().unwrap()).unwrap())
}

pub(crate) async fn open(disk: &Disk, config: RedbConfig, clock: &ManualClock) -> Result<RedbStore> {
    RedbStore::builder(config).clock(shared(clock)).open_backend(disk.opener()).await
}

pub(crate) async fn lock(store: &dyn Store, key: &Key) -> Result<LockAnswer> {
    store.lock(key, &fingerprint(), &claim()).await
}

/// Locks a key that is free.
pub(crate) async fn acquire(store: &dyn Store, key: &Key) -> Lease {
    match lock(store, key).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{key:?} is not free: {other:?}"),
    }
}

/// Locks a free key with a retention as short as its lease: the lock has expired after twice that time.
pub(crate) async fn short_lock(store: &dyn Store, number: usize) -> Lease {
    let claim = Claim { retention: LEASE, ..claim() };
    match store.lock(&key(number), &fingerprint(), &claim).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("key {number} is not free: {other:?}"),
    }
}

pub(crate) async fn complete(store: &dyn Store, lease: &Lease, outcome: Outcome) {
    assert_eq!(store.complete(lease, outcome, lease.retention()).await.unwrap(), Effect::Applied);
}

/// Locks and completes keys 0 to `count` - 1, each with its [`value`].
pub(crate) async fn complete_keys(store: &dyn Store, count: usize) {
    for number in 0..count {
        let lease = acquire(store, &key(number)).await;
        complete(store, &lease, value(number)).await;
    }
}

/// The outcome that a retry of `key` gets; panics when the key is not completed.
pub(crate) async fn replay(store: &dyn Store, key: &Key) -> Outcome {
    match lock(store, key).await.unwrap() {
        LockAnswer::Completed(replay) => replay.outcome,
        other => panic!("{key:?} was completed, and now {other:?}"),
    }
}

/// Asserts that each of keys 0 to `count` - 1 replays its [`value`].
pub(crate) async fn assert_replays(store: &dyn Store, count: usize) {
    for number in 0..count {
        assert_eq!(replay(store, &key(number)).await, value(number), "key {number}");
    }
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}
