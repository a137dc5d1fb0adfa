//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::{Claim, Effect, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store};

use crate::config::MokaConfig;
use crate::store::MokaStore;

pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const RETENTION: Duration = Duration::from_hours(1);

pub(super) fn store(config: MokaConfig) -> (MokaStore, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    (MokaStore::with_clock(config, Arc::new(clock.clone())).unwrap(), clock)
}

pub(super) fn key(number: usize) -> Key {
    Key::new(&Scope::shared(), number.to_string()).unwrap()
}

pub(super) fn fingerprint() -> Fingerprint {
    Fingerprint::builder("test").part("the same request").finish()
}

pub(super) fn claim(owner: u8) -> Claim {
    Claim { owner: Owner::from_bytes([owner; 16]), lease: LEASE, retention: RETENTION }
}

pub(super) fn outcome(bytes: usize) -> Outcome {
    Outcome::Value(Bytes::from(vec![7; bytes]))
}

pub(super) async fn lock(store: &MokaStore, number: usize, owner: u8) -> Result<LockAnswer> {
    store.lock(&key(number), &fingerprint(), &claim(owner)).await
}

/// Locks a key that is free.
pub(super) async fn acquire(store: &MokaStore, number: usize) -> Lease {
    match lock(store, number, 1).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("key {number}: {other:?}"),
    }
}

pub(super) async fn complete(store: &MokaStore, number: usize, bytes: usize) {
    let lease = acquire(store, number).await;
    assert_eq!(store.complete(&lease, outcome(bytes), RETENTION).await.unwrap(), Effect::Applied);
}

pub(super) async fn replays(store: &MokaStore, number: usize) -> bool {
    matches!(lock(store, number, 2).await, Ok(LockAnswer::Completed(_)))
}
