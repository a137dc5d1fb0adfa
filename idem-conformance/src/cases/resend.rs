//! Resending: the same call, sent again after its answer was lost, has no second effect.

use idem_core::{LostReason, Outcome};

use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, must, value};

pub(super) async fn lock_is_the_same_lock(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let first = t.lock(&key, &claim).await.expect_acquired();
    for _ in 0..5 {
        let again = t.lock(&key, &claim).await.expect_acquired();
        assert_eq!((again.token(), again.attempt()), (first.token(), 1));
        assert_eq!(again.checkpoint(), first.checkpoint());
    }
    t.lock(&key, &t.claim()).await.expect_in_progress();
}

pub(super) async fn takeover_is_the_same_takeover(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let first = t.acquire(&key).await;
    t.checkpoint(&first, 1, b"half way").await.expect_applied();
    t.outlast_lease().await;
    let second = t.lock(&key, &claim).await.expect_acquired();
    let again = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!((again.token(), again.attempt()), (second.token(), 2));
    assert_eq!(again.checkpoint().map(|checkpoint| checkpoint.step), Some(1));
}

pub(super) async fn late_lock_never_supersedes_its_own_holder(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let holder = t.lock(&key, &claim).await.expect_acquired();
    t.outlast_lease().await;
    let duplicate = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!(duplicate.token(), holder.token());
    t.renew(&holder, LEASE).await.expect_applied();
    t.complete(&holder, value(b"done")).await.expect_applied();
}

pub(super) async fn lock_after_its_own_completion_finds_it(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert_eq!(t.lock(&key, &claim).await.expect_completed().token, lease.token());
}

/// This is the only harm of a delayed `lock`: a lease that nobody holds, until it ends.
pub(super) async fn lock_after_its_own_release_leaves_a_lease_that_ends(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.release(&lease).await.expect_applied();
    t.lock(&key, &claim).await.expect_acquired();
    t.lock(&key, &t.claim()).await.expect_in_progress();
    let next = t.take_over(&key).await;
    t.complete(&next, value(b"done")).await.expect_applied();
}

pub(super) async fn renew_is_the_same_renewal(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.renew(&lease, LEASE * 2).await.expect_applied();
    let before = t.get(&key).await;
    t.renew(&lease, LEASE * 2).await.expect_applied();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn checkpoint_is_the_same_checkpoint(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    let before = t.get(&key).await;
    t.advance(2).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn complete_is_the_same_completion(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"first")).await.expect_applied();
    let before = t.get(&key).await;
    t.advance(RETENTION - 4).await;
    for outcome in
        [value(b"first"), value(b"second"), Outcome::Unavailable(idem_core::UnavailableReason::Other)]
    {
        let long = t.ticks(RETENTION * 5);
        must("complete", t.store().complete(&lease, outcome, long).await).expect_applied();
    }
    t.assert_unchanged(&key, before.as_ref()).await;
    t.advance(5).await;
    t.complete(&lease, value(b"first")).await.expect_lost(LostReason::Gone);
}

pub(super) async fn release_changes_nothing_more(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.release(&lease).await.expect_applied();
    let next = t.acquire(&key).await;
    let before = t.get(&key).await;
    t.release(&lease).await.expect_lost(LostReason::Superseded);
    t.assert_unchanged(&key, before.as_ref()).await;
    t.complete(&next, value(b"done")).await.expect_applied();
}

pub(super) async fn release_with_a_checkpoint_changes_nothing_more(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    let before = t.get(&key).await;
    t.advance(2).await;
    t.release(&lease).await.expect_lost(LostReason::Released);
    t.assert_unchanged(&key, before.as_ref()).await;
}
