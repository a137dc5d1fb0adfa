//! Two stores on the same data, as two processes have them.

use idem_core::{LockAnswer, LostReason};
use tokio::task::JoinSet;

use crate::trial::{ExpectEffect, ExpectLock, RETENTION, Trial, fingerprint, must, value};

pub(super) async fn lease_is_seen_by_both(mut t: Trial) {
    let (other, key) = (t.another().await, t.key("order"));
    let lease = t.acquire(&key).await;
    must("lock", other.lock(&key, &fingerprint(), &t.claim()).await).expect_in_progress();
    let record = must("get", other.get(&key).await);
    assert_eq!(record.map(|record| record.token), Some(lease.token()));
}

pub(super) async fn completion_is_replayed_by_both(mut t: Trial) {
    let (other, key) = (t.another().await, t.key("order"));
    let lease = t.acquire(&key).await;
    must("complete", other.complete(&lease, value(b"done"), t.ticks(RETENTION)).await).expect_applied();
    for store in [t.store(), other] {
        let lock = must("lock", store.lock(&key, &fingerprint(), &t.claim()).await);
        assert_eq!(lock.expect_completed().outcome, value(b"done"));
    }
}

pub(super) async fn takeover_in_one_fences_the_other(mut t: Trial) {
    let (other, key) = (t.another().await, t.key("order"));
    let first = t.acquire(&key).await;
    t.outlast_lease().await;
    let second = must("lock", other.lock(&key, &fingerprint(), &t.claim()).await).expect_acquired();
    assert!(second.token().sequence > first.token().sequence);
    t.complete(&first, value(b"late")).await.expect_lost(LostReason::Superseded);
    must("complete", other.complete(&second, value(b"done"), t.ticks(RETENTION)).await).expect_applied();
}

pub(super) async fn one_of_racing_lockers_acquires_over_both(mut t: Trial) {
    let (other, key) = (t.another().await, t.key("order"));
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        let store = if number % 2 == 0 { t.store() } else { other.clone() };
        let claim = t.claim();
        tasks.spawn(async move { must("lock", store.lock(&key, &fingerprint(), &claim).await) });
    }
    let outcomes = tasks.join_all().await;
    let acquired = outcomes.iter().filter(|outcome| matches!(outcome, LockAnswer::Acquired(_))).count();
    assert_eq!(acquired, 1);
}

pub(super) async fn completion_in_one_wakes_waiters_of_the_other(mut t: Trial) {
    let (other, key) = (t.another().await, t.key("order"));
    let lease = t.acquire(&key).await;
    let mut waiters = JoinSet::new();
    for _ in 0..8 {
        let other = other.clone();
        waiters.spawn(async move {
            must("settled", other.settled(&key, std::time::Duration::from_mins(10)).await)
        });
    }
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(waiters.join_all().await.into_iter().all(|settled| settled));
}
