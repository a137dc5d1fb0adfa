//! Threads that contend for one key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use idem_core::{Effect, LockAnswer, Outcome, Store};
use tokio::sync::Barrier;

use super::support::{RETENTION, acquire, key, lock, store};
use crate::{MokaConfig, WhenFull};

const KEYS: usize = 20_000;
const ROUNDS: usize = 2_000;

/// One thread completes key after key, and others lock the same keys meanwhile. Each must see the lock or the
/// outcome: a key that was in neither place for a moment would run twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_is_being_completed_is_always_locked_or_completed() {
    for when_full in [WhenFull::Refuse, WhenFull::Evict] {
        let (store, _) = store(MokaConfig { when_full, ..MokaConfig::default() });
        let current = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let mut held = acquire(&store, 0).await;
        let askers: Vec<_> = (2..5_u8)
            .map(|owner| {
                let (store, current, over) = (store.clone(), current.clone(), over.clone());
                tokio::spawn(async move {
                    let (mut in_progress, mut completed) = (0_usize, 0_usize);
                    while !over.load(Ordering::Acquire) {
                        let number = current.load(Ordering::Acquire);
                        match lock(&store, number, owner).await.unwrap() {
                            LockAnswer::InProgress { .. } => in_progress += 1,
                            LockAnswer::Completed(replay) => {
                                assert_eq!(replay.outcome, value(number));
                                completed += 1;
                            }
                            other => panic!("key {number}: {other:?}"),
                        }
                        let record = store.get(&key(number)).await.unwrap();
                        assert!(record.is_some(), "key {number} is in neither place");
                    }
                    in_progress + completed
                })
            })
            .collect();
        for number in 0..KEYS {
            let next = acquire(&store, number + 1).await;
            assert_eq!(store.complete(&held, value(number), RETENTION).await.unwrap(), Effect::Applied);
            held = next;
            current.store(number + 1, Ordering::Release);
        }
        over.store(true, Ordering::Release);
        for asker in askers {
            assert!(asker.await.unwrap() > 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_callers_acquires_a_key_also_after_its_expiry() {
    let (store, clock) = store(MokaConfig::default());
    let barrier = Arc::new(Barrier::new(4));
    let acquired = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (1..=4_u8)
        .map(|owner| {
            let (store, clock, barrier, acquired) =
                (store.clone(), clock.clone(), barrier.clone(), acquired.clone());
            tokio::spawn(async move {
                for round in 1..=ROUNDS {
                    if let LockAnswer::Acquired(lease) = lock(&store, 0, owner).await.unwrap() {
                        acquired.fetch_add(1, Ordering::SeqCst);
                        let effect = store.complete(&lease, value(round), RETENTION).await.unwrap();
                        assert_eq!(effect, Effect::Applied);
                    }
                    barrier.wait().await;
                    assert_eq!(acquired.load(Ordering::SeqCst), round);
                    if barrier.wait().await.is_leader() {
                        clock.advance(RETENTION);
                    }
                    barrier.wait().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sequences_rise_over_all_keys_and_threads_while_the_clock_stands_still() {
    let (store, _) = store(MokaConfig::default());
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut sequences = Vec::new();
                for number in 0..500 {
                    sequences.push(acquire(&store, task * 500 + number).await.token().sequence);
                }
                assert!(sequences.is_sorted_by(|one, next| one < next));
                sequences
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2_000);
}

fn value(number: usize) -> Outcome {
    Outcome::Value(number.to_le_bytes().to_vec().into())
}
