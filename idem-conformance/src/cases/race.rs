//! Many callers at the same moment: exactly one of them succeeds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use idem_core::record::State;
use idem_core::{Effect, LockAnswer, LostReason, Outcome};
use tokio::task::JoinSet;

use crate::harness::Time;
use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, must, value};

/// Enough for callers to collide, few enough for a store with a disk.
const ROUNDS: u32 = 20;

/// [`ROUNDS`] where the case can end a lease by moving the clock, and few where it has to wait.
fn rounds(t: &Trial) -> u32 {
    match t.time() {
        Time::Manual(_) => ROUNDS,
        Time::Real { .. } => 2,
    }
}

pub(super) async fn one_of_128_lockers_acquires(t: Trial) {
    let key = t.key("order");
    let mut acquired = 0;
    for outcome in lock_from_many(&t, 128, &key).await {
        match outcome {
            LockAnswer::Acquired(_) => acquired += 1,
            other => assert!(matches!(other, LockAnswer::InProgress { .. }), "{other:?}"),
        }
    }
    assert_eq!(acquired, 1);
    assert_eq!(t.record(&key).await.attempt, 1);
}

pub(super) async fn one_of_128_takes_over(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.outlast_lease().await;
    let outcomes = lock_from_many(&t, 128, &key).await;
    let acquired = outcomes.iter().filter(|outcome| matches!(outcome, LockAnswer::Acquired(_))).count();
    assert_eq!(acquired, 1);
    assert_eq!(t.record(&key).await.attempt, 2);
}

pub(super) async fn one_owner_from_many_connections_is_one_holder(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let tokens = run(64, |_| {
        let store = t.store();
        async move { must("lock", store.lock(&key, &fingerprint(), &claim).await) }
    })
    .await
    .into_iter()
    .map(|outcome| match outcome {
        LockAnswer::Acquired(lease) => (lease.token(), lease.attempt()),
        other => panic!("{other:?} should be Acquired"),
    });
    assert_eq!(tokens.collect::<HashSet<_>>().len(), 1);
}

pub(super) async fn one_outcome_of_racing_completions_is_kept(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let retention = t.ticks(RETENTION);
    let replays = run(64, |number: u32| {
        let (store, lease) = (t.store(), lease.clone());
        async move {
            let outcome = Outcome::Value(Bytes::copy_from_slice(&number.to_le_bytes()));
            must("complete", store.complete(&lease, outcome, retention).await).expect_applied();
            must("get", store.get(lease.key()).await).and_then(|record| record.outcome().cloned())
        }
    })
    .await;
    let replayed: HashSet<_> =
        replays.iter().map(|outcome| format!("{:?}", bytes_of(outcome.as_ref()))).collect();
    assert_eq!(replayed.len(), 1, "every retry gets the same outcome");
}

pub(super) async fn late_completion_or_takeover_wins(t: Trial) {
    for round in 0..rounds(&t) {
        let key = t.key(&format!("order-{round}"));
        let late = t.acquire(&key).await;
        t.outlast_lease().await;
        let (retention, claim) = (t.ticks(RETENTION), t.claim());
        let (one, other) = (t.store(), t.store());
        let completes =
            tokio::spawn(
                async move { must("complete", one.complete(&late, value(b"late"), retention).await) },
            );
        let takes_over =
            tokio::spawn(async move { must("lock", other.lock(&key, &fingerprint(), &claim).await) });
        match (joined(completes.await), joined(takes_over.await)) {
            (Effect::Applied, LockAnswer::Completed(replay)) => {
                assert_eq!(replay.outcome, value(b"late"));
            }
            (Effect::Lost(LostReason::Superseded), LockAnswer::Acquired(next)) => {
                t.complete(&next, value(b"of the second")).await.expect_applied();
                assert_eq!(t.record(&key).await.outcome(), Some(&value(b"of the second")));
            }
            both => panic!("both won or both lost: {both:?}"),
        }
    }
}

pub(super) async fn late_renewal_or_takeover_wins(t: Trial) {
    for round in 0..rounds(&t) {
        let key = t.key(&format!("order-{round}"));
        let late = t.acquire(&key).await;
        t.outlast_lease().await;
        let (lease, claim) = (t.ticks(LEASE), t.claim());
        let (one, other) = (t.store(), t.store());
        let renews = tokio::spawn(async move { must("renew", one.renew(&late, lease).await) });
        let takes_over =
            tokio::spawn(async move { must("lock", other.lock(&key, &fingerprint(), &claim).await) });
        match (joined(renews.await), joined(takes_over.await)) {
            (Effect::Applied, LockAnswer::InProgress { .. })
            | (Effect::Lost(LostReason::Superseded), LockAnswer::Acquired(_)) => {}
            both => panic!("both won or both lost: {both:?}"),
        }
    }
}

pub(super) async fn highest_of_racing_checkpoints_is_kept(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let duration = t.ticks(LEASE);
    run(64, |step: u32| {
        let (store, lease) = (t.store(), lease.clone());
        async move {
            let progress = Bytes::copy_from_slice(&step.to_le_bytes());
            must("checkpoint", store.checkpoint(&lease, step.into(), progress, duration).await)
                .expect_applied();
        }
    })
    .await;
    let record = t.record(&key).await;
    let State::Locked(locked) = record.state else { panic!("{record:?} should be locked") };
    let checkpoint = locked.checkpoint.map(|checkpoint| (checkpoint.step, checkpoint.progress.to_vec()));
    assert_eq!(checkpoint, Some((63, 63_u32.to_le_bytes().to_vec())));
}

pub(super) async fn one_of_racing_releases_applies(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let answers = run(64, |_| {
        let (store, lease) = (t.store(), lease.clone());
        async move { must("release", store.release(&lease).await) }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Effect::Applied).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Effect::Lost(LostReason::Gone)).count(), 63);
}

pub(super) async fn one_of_racing_removals_removes(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    let removed = run(64, |_| {
        let store = t.store();
        async move { must("remove", store.remove(&key, true).await) }
    })
    .await;
    assert_eq!(removed.iter().filter(|removed| **removed).count(), 1);
}

pub(super) async fn there_is_never_a_second_holder(t: Trial) {
    let key = t.key("order");
    let holders = Arc::new(AtomicU32::new(0));
    let lease = t.ticks(LEASE * 100);
    let held = run(16, |_| {
        let (store, holders) = (t.store(), Arc::clone(&holders));
        let claims: Vec<_> =
            (0..ROUNDS).map(|_| idem_core::Claim { lease, retention: lease, ..t.claim() }).collect();
        async move {
            let mut held = 0_u32;
            for claim in claims {
                let LockAnswer::Acquired(lease) =
                    must("lock", store.lock(&key, &fingerprint(), &claim).await)
                else {
                    tokio::task::yield_now().await;
                    continue;
                };
                assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "there is a second holder");
                tokio::task::yield_now().await;
                holders.fetch_sub(1, Ordering::SeqCst);
                must("release", store.release(&lease).await).expect_applied();
                held += 1;
            }
            held
        }
    })
    .await;
    assert!(held.iter().sum::<u32>() > 0);
    assert!(t.get(&key).await.is_none(), "the last holder released it");
}

pub(super) async fn sweep_does_not_remove_a_key_that_is_used_again(t: Trial) {
    for round in 0..rounds(&t) {
        let key = t.key(&format!("order-{round}"));
        t.acquire(&key).await;
        t.outlast_record().await;
        let claim = t.claim();
        let (one, other) = (t.store(), t.store());
        let sweeps = tokio::spawn(async move { must("expire", one.expire(100).await) });
        let locks = tokio::spawn(async move { must("lock", other.lock(&key, &fingerprint(), &claim).await) });
        joined(sweeps.await);
        let lease = joined(locks.await).expect_acquired();
        assert_eq!(lease.attempt(), 1);
        t.complete(&lease, value(b"done")).await.expect_applied();
        assert_eq!(t.record(&key).await.outcome(), Some(&value(b"done")));
    }
}

pub(super) async fn concurrent_keys_do_not_mix(t: Trial) {
    let retention = t.ticks(RETENTION);
    let completed = run(128, |number: u32| {
        let (store, claim, key) = (t.store(), t.claim(), t.key(&format!("order-{number}")));
        async move {
            let LockAnswer::Acquired(lease) = must("lock", store.lock(&key, &fingerprint(), &claim).await)
            else {
                panic!("the key is fresh");
            };
            let outcome = Outcome::Value(Bytes::copy_from_slice(&number.to_le_bytes()));
            must("complete", store.complete(&lease, outcome.clone(), retention).await).expect_applied();
            (lease, outcome)
        }
    })
    .await;
    for (lease, outcome) in completed {
        let record = t.record(lease.key()).await;
        assert_eq!((record.token, record.outcome()), (lease.token(), Some(&outcome)));
    }
}

async fn lock_from_many(t: &Trial, callers: u32, key: &idem_core::Key) -> Vec<LockAnswer> {
    let key = *key;
    run(callers, |_| {
        let (store, claim) = (t.store(), t.claim());
        async move { must("lock", store.lock(&key, &fingerprint(), &claim).await) }
    })
    .await
}

/// Runs a task for each of `callers`, all at once, and returns their answers.
async fn run<F, Fut>(callers: u32, task: F) -> Vec<Fut::Output>
where
    F: Fn(u32) -> Fut,
    Fut: Future<Output: Send> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(callers as usize));
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let (task, barrier) = (task(number), Arc::clone(&barrier));
        tasks.spawn(async move {
            barrier.wait().await;
            task.await
        });
    }
    tasks.join_all().await
}

fn joined<T>(task: Result<T, tokio::task::JoinError>) -> T {
    must("task", task)
}

fn bytes_of(outcome: Option<&Outcome>) -> Option<&Bytes> {
    match outcome {
        Some(Outcome::Value(bytes)) => Some(bytes),
        _ => None,
    }
}
