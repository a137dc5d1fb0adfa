//! `when_full = "refuse"`: new keys are refused, no record is dropped, and the counts are exact.

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::{Effect, ErrorKind, LockAnswer, Outcome, Store};

use super::support::{LEASE, RETENTION, acquire, complete, key, lock, outcome, replays, store};
use crate::{MokaConfig, MokaStore, RECORD_OVERHEAD};

const SMALL: MokaConfig = MokaConfig {
    max_bytes: 16 * 1024,
    max_entries: 10,
    max_locks: 5,
    max_outcome: 8 * 1024,
    when_full: crate::WhenFull::Refuse,
    max_share_per_scope: 0.9,
};

async fn is_refused(store: &MokaStore, number: usize, by: &str) {
    let error = lock(store, number, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Full, Operation::Lock));
    assert!(error.message().contains(by), "{error}");
}

#[tokio::test]
async fn a_new_key_beyond_max_entries_is_refused_and_every_completed_one_still_replays() {
    let (store, _) = store(SMALL);
    for number in 0..10 {
        complete(&store, number, 10).await;
    }
    is_refused(&store, 10, "max_entries = 10").await;
    is_refused(&store, 11, "max_entries = 10").await;
    for number in 0..10 {
        assert!(replays(&store, number).await, "key {number}");
    }
    assert_eq!((store.stats().completed, store.stats().refused), (10, 2));
}

#[tokio::test]
async fn max_entries_counts_locked_records_too() {
    let (store, _) = store(MokaConfig { max_locks: 20, ..SMALL });
    let mut leases = Vec::new();
    for number in 0..10 {
        leases.push(acquire(&store, number).await);
    }
    is_refused(&store, 10, "max_entries = 10").await;
    for lease in &leases {
        assert_eq!(store.complete(lease, outcome(1), RETENTION).await.unwrap(), Effect::Applied);
    }
    assert_eq!(store.stats().completed, 10);
}

#[tokio::test]
async fn a_lock_beyond_max_locks_is_refused_until_one_ends() {
    let (store, _) = store(SMALL);
    let mut leases = Vec::new();
    for number in 0..5 {
        leases.push(acquire(&store, number).await);
    }
    is_refused(&store, 5, "max_locks = 5").await;
    assert!(matches!(lock(&store, 0, 1).await.unwrap(), LockAnswer::Acquired(_)), "a resent lock");
    assert!(matches!(lock(&store, 0, 2).await.unwrap(), LockAnswer::InProgress { .. }));
    assert_eq!(store.release(&leases[0]).await.unwrap(), Effect::Applied);
    complete(&store, 5, 10).await;
    assert_eq!(store.stats().locks, 4);
}

#[tokio::test]
async fn a_granted_lock_is_completed_beyond_max_bytes_and_only_new_keys_are_refused() {
    let (store, clock) = store(SMALL);
    let first = acquire(&store, 1).await;
    let second = acquire(&store, 2).await;
    let third = acquire(&store, 3).await;
    for lease in [&first, &second, &third] {
        assert_eq!(store.complete(lease, outcome(8 * 1024), RETENTION).await.unwrap(), Effect::Applied);
    }
    assert_eq!(store.stats().bytes, 3 * (8 * 1024 + RECORD_OVERHEAD));
    is_refused(&store, 4, "max_bytes = 16384").await;
    for number in 1..=3 {
        assert!(replays(&store, number).await, "key {number}");
    }
    clock.advance(RETENTION);
    complete(&store, 4, 10).await;
}

#[tokio::test]
async fn expired_records_make_room_for_a_new_key_whichever_shard_they_are_in() {
    let (store, clock) = store(SMALL);
    for number in 0..10 {
        complete(&store, number, 10).await;
    }
    clock.advance(RETENTION);
    for number in 10..20 {
        complete(&store, number, 10).await;
    }
    assert_eq!((store.stats().completed, store.stats().refused), (10, 0));
}

#[tokio::test]
async fn expired_locks_make_room_for_new_ones() {
    let (store, clock) = store(SMALL);
    for number in 0..5 {
        let _crashed = acquire(&store, number).await;
    }
    clock.advance(LEASE + RETENTION);
    for number in 5..10 {
        let _lease = acquire(&store, number).await;
    }
    assert_eq!((store.stats().locks, store.stats().refused), (5, 0));
}

#[tokio::test]
async fn a_key_is_taken_over_in_a_full_store() {
    let (store, clock) = store(SMALL);
    for number in 0..5 {
        let _crashed = acquire(&store, number).await;
    }
    clock.advance(LEASE);
    let LockAnswer::Acquired(lease) = lock(&store, 3, 2).await.unwrap() else { panic!("not taken over") };
    assert_eq!(lease.attempt(), 2);
}

#[tokio::test]
async fn a_checkpoint_is_counted_until_its_record_is_completed() {
    let (store, _) = store(SMALL);
    let saved = Bytes::from(vec![1; 8 * 1024]);
    let lease = acquire(&store, 1).await;
    for (step, bytes) in [(1, 8 * 1024), (2, 4 * 1024), (3, 0), (4, 6 * 1024)] {
        assert_eq!(
            store.checkpoint(&lease, step, saved.slice(..bytes), LEASE).await.unwrap(),
            Effect::Applied
        );
        assert_eq!(store.stats().bytes, bytes as u64 + RECORD_OVERHEAD, "step {step}");
    }
    assert_eq!(store.complete(&lease, Outcome::Value(saved), RETENTION).await.unwrap(), Effect::Applied);
    assert_eq!(store.stats().bytes, 8 * 1024 + RECORD_OVERHEAD, "the checkpoint is gone");
}

#[tokio::test]
async fn an_outcome_or_checkpoint_larger_than_max_outcome_is_too_large_and_the_lease_is_held() {
    let (store, _) = store(SMALL);
    let lease = acquire(&store, 1).await;
    let large = vec![0; 8 * 1024 + 1];
    let error = store.checkpoint(&lease, 1, large.clone().into(), LEASE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = store.complete(&lease, Outcome::Value(large.into()), RETENTION).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(store.complete(&lease, outcome(8 * 1024), RETENTION).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn forced_removal_is_counted_in_both_states() {
    let (store, _) = store(SMALL);
    complete(&store, 1, 10).await;
    let lease = acquire(&store, 2).await;
    assert!(!store.remove(&key(2), false).await.unwrap(), "its lease is live");
    assert!(store.remove(&key(1), false).await.unwrap());
    assert!(store.remove(&key(2), true).await.unwrap());
    assert!(!store.remove(&key(2), true).await.unwrap());
    let stats = store.stats();
    assert_eq!((stats.locks, stats.completed, stats.bytes), (0, 0, 0));
    assert_eq!(
        store.complete(&lease, outcome(1), RETENTION).await.unwrap(),
        Effect::Lost(idem_core::LostReason::Gone)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_callers_never_exceed_max_entries() {
    let (store, _) = store(MokaConfig { max_entries: 100, max_locks: 1_000, max_bytes: 1 << 20, ..SMALL });
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut granted = 0;
                for number in 0..100 {
                    match lock(&store, task * 100 + number, 1).await {
                        Ok(LockAnswer::Acquired(_)) => granted += 1,
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
                    }
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += task.await.unwrap();
    }
    assert_eq!(granted, 100);
    assert_eq!((store.stats().locks, store.stats().refused), (100, 300));
}
