#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod config;
mod evict;
mod expiry;
mod holder;
mod lease;
mod race;
mod share;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::{Claim, Effect, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Result, Scope, Store};

use crate::{MokaConfig, MokaStore};

const LEASE: Duration = Duration::from_secs(30);
const RETENTION: Duration = Duration::from_hours(1);

fn store(config: MokaConfig) -> (MokaStore, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_micros(1_000_000_000));
    (MokaStore::with_clock(config, Arc::new(clock.clone())).unwrap(), clock)
}

fn key(number: usize) -> Key {
    Key::new(&Scope::shared(), number.to_string()).unwrap()
}

fn fingerprint() -> Fingerprint {
    Fingerprint::builder("test").part("the same request").finish()
}

fn claim(owner: u8) -> Claim {
    Claim { owner: Owner::from_bytes([owner; 16]), lease: LEASE, retention: RETENTION }
}

fn outcome(bytes: usize) -> Outcome {
    Outcome::Value(Bytes::from(vec![7; bytes]))
}

async fn lock(store: &MokaStore, number: usize, owner: u8) -> Result<LockAnswer> {
    store.lock(&key(number), &fingerprint(), &claim(owner)).await
}

/// A lease that must be granted.
async fn acquire(store: &MokaStore, number: usize) -> Lease {
    match lock(store, number, 1).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("key {number}: {other:?}"),
    }
}

async fn complete(store: &MokaStore, number: usize, bytes: usize) {
    let lease = acquire(store, number).await;
    assert_eq!(store.complete(&lease, outcome(bytes), RETENTION).await.unwrap(), Effect::Applied);
}

async fn replays(store: &MokaStore, number: usize) -> bool {
    matches!(lock(store, number, 2).await, Ok(LockAnswer::Completed(_)))
}
