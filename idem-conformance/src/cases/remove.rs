//! `remove`: which records an operator may remove.

use crate::trial::{ExpectEffect, ExpectLock, RETENTION, Trial, other_fingerprint, value};

pub(super) async fn live_lease_is_refused(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let before = t.get(&key).await;
    assert!(!t.remove(&key, false).await);
    t.assert_unchanged(&key, before.as_ref()).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
}

pub(super) async fn live_lease_is_removed_by_force(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    assert!(t.remove(&key, true).await);
    assert!(t.get(&key).await.is_none());
    let again = t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_acquired();
    assert_eq!(again.attempt(), 1);
}

pub(super) async fn lease_that_is_over_is_removed(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.outlast_lease().await;
    assert!(t.remove(&key, false).await);
    assert_eq!(t.acquire(&key).await.attempt(), 1);
}

pub(super) async fn released_record_is_removed(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    assert!(t.remove(&key, false).await);
    let again = t.acquire(&key).await;
    assert_eq!((again.attempt(), again.checkpoint()), (1, None));
}

pub(super) async fn completed_record_is_removed(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(t.remove(&key, false).await);
    assert!(t.get(&key).await.is_none());
    assert_eq!(t.acquire(&key).await.attempt(), 1);
}

pub(super) async fn missing_record_is_not_removed(t: Trial) {
    let key = t.key("order");
    assert!(!t.remove(&key, false).await);
    assert!(!t.remove(&key, true).await);
    t.acquire(&key).await;
    assert!(t.remove(&key, true).await);
    assert!(!t.remove(&key, true).await, "it is gone already");
}

pub(super) async fn expired_record_is_not_removed(t: Trial) {
    let (locked, completed) = (t.key("locked"), t.key("completed"));
    t.acquire(&locked).await;
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.outlast_record().await;
    assert!(!t.remove(&locked, true).await);
    assert!(!t.remove(&completed, true).await);
}

pub(super) async fn other_keys_stay(t: Trial) {
    let (one, other) = (t.key("one"), t.key("other"));
    t.acquire(&one).await;
    let lease = t.acquire(&other).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(t.remove(&one, true).await);
    t.advance(RETENTION - 2).await;
    assert_eq!(t.lock(&other, &t.claim()).await.expect_completed().outcome, value(b"done"));
}
