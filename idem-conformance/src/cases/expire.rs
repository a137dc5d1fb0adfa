//! `expire`: what a sweep removes, and what it leaves.

use idem_core::{Expired, Key};

use crate::trial::{ExpectEffect, LEASE, RETENTION, Trial, must, value};

pub(super) async fn unexpired_records_stay(t: Trial) {
    let keys = ["live", "over", "released", "completed"].map(|name| t.key(name));
    let [live, over, released, completed] = &keys;
    t.acquire(over).await;
    t.outlast_lease().await;
    t.acquire(live).await;
    let lease = t.acquire(released).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    let lease = t.acquire(completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();

    let mut before = Vec::new();
    for key in &keys {
        before.push(t.get(key).await);
    }
    assert_eq!(sweep(&t, 1_000).await, Expired { removed: 0, more: false });
    for (key, before) in keys.iter().zip(&before) {
        assert!(before.is_some());
        t.assert_unchanged(key, before.as_ref()).await;
    }
}

pub(super) async fn every_kind_of_expired_record_is_removed_once(t: Trial) {
    let expired = leave_expired(&t).await;
    assert_eq!(sweep(&t, 1_000).await, Expired { removed: expired.len(), more: false });
    assert_eq!(sweep(&t, 1_000).await, Expired { removed: 0, more: false });
    assert_fresh(&t, &expired).await;
}

pub(super) async fn budget_is_kept_and_the_rest_is_reported(t: Trial) {
    let expired = leave_expired(&t).await;
    let mut removed = 0;
    // One call more than the budget requires: the last one says that nothing remains.
    for _ in 0..=expired.len() {
        let swept = sweep(&t, 2).await;
        assert!(swept.removed <= 2, "{swept:?} is above the budget of 2");
        removed += swept.removed;
        if !swept.more {
            assert_eq!(sweep(&t, 1_000).await, Expired { removed: 0, more: false }, "it said: no more");
            assert!(removed <= expired.len());
            assert_fresh(&t, &expired).await;
            return;
        }
    }
    panic!("the sweep of {} records does not end, {removed} were removed", expired.len());
}

pub(super) async fn budget_of_zero_removes_nothing(t: Trial) {
    let expired = leave_expired(&t).await;
    assert_eq!(sweep(&t, 0).await.removed, 0);
    sweep(&t, 1_000).await;
    assert_fresh(&t, &expired).await;
}

pub(super) async fn key_used_again_is_not_swept(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.outlast_record().await;
    let again = t.acquire(&key).await;
    sweep(&t, 1_000).await;
    t.complete(&again, value(b"done")).await.expect_applied();
    sweep(&t, 1_000).await;
    assert_eq!(t.record(&key).await.outcome(), Some(&value(b"done")));
}

pub(super) async fn renewed_lease_is_not_swept(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.renew(&lease, LEASE * 4).await.expect_applied();
    t.outlast_record().await;
    assert_eq!(sweep(&t, 1_000).await.removed, 0);
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert_eq!(t.record(&key).await.outcome(), Some(&value(b"done")));
}

/// Leaves expired records of every kind: locked, released and completed.
async fn leave_expired(t: &Trial) -> Vec<Key> {
    let mut keys = Vec::new();
    for number in 0..9 {
        let key = t.key(&format!("order-{number}"));
        let lease = t.acquire(&key).await;
        match number % 3 {
            0 => {}
            1 => {
                t.checkpoint(&lease, 1, b"half way").await.expect_applied();
                t.release(&lease).await.expect_applied();
            }
            _ => t.complete(&lease, value(b"done")).await.expect_applied(),
        }
        keys.push(key);
    }
    t.advance(LEASE + RETENTION + 1).await;
    keys
}

async fn sweep(t: &Trial, budget: usize) -> Expired {
    must("expire", t.store().expire(budget).await)
}

async fn assert_fresh(t: &Trial, keys: &[Key]) {
    for key in keys {
        assert!(t.get(key).await.is_none());
        assert_eq!(t.acquire(key).await.attempt(), 1);
    }
}
