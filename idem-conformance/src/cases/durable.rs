//! Closing and reopening: what was acknowledged is kept, and time does not go back.

use idem_core::LostReason;

use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, other_fingerprint, value};

pub(super) async fn completion_outlives_reopening(mut t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    let before = t.get(&key).await;
    t.reopen().await;
    t.assert_unchanged(&key, before.as_ref()).await;
    let completion = t.lock(&key, &t.claim()).await.expect_completed();
    assert_eq!((completion.outcome, completion.token), (value(b"done"), lease.token()));
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    t.complete(&lease, value(b"again")).await.expect_applied();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn lease_outlives_reopening(mut t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.reopen().await;
    t.lock(&key, &t.claim()).await.expect_in_progress();
    assert_eq!(t.lock(&key, &claim).await.expect_acquired().token(), lease.token());
    t.complete(&lease, value(b"done")).await.expect_applied();
}

pub(super) async fn checkpoint_outlives_reopening(mut t: Trial) {
    let (held, released) = (t.key("held"), t.key("released"));
    let lease = t.acquire(&held).await;
    t.checkpoint(&lease, 4, b"half way").await.expect_applied();
    let lease = t.acquire(&released).await;
    t.checkpoint(&lease, 5, b"nearly").await.expect_applied();
    t.release(&lease).await.expect_applied();
    t.reopen().await;
    let next = t.acquire(&released).await;
    assert_eq!((next.attempt(), next.checkpoint().map(|checkpoint| checkpoint.step)), (2, Some(5)));
    let next = t.take_over(&held).await;
    assert_eq!((next.attempt(), next.checkpoint().map(|checkpoint| checkpoint.step)), (2, Some(4)));
}

pub(super) async fn release_and_removal_outlive_reopening(mut t: Trial) {
    let keys = ["released", "removed", "forced"].map(|name| t.key(name));
    let [released, removed, forced] = &keys;
    let lease = t.acquire(released).await;
    t.release(&lease).await.expect_applied();
    let lease = t.acquire(removed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(t.remove(removed, false).await);
    let holder = t.acquire(forced).await;
    assert!(t.remove(forced, true).await);
    t.reopen().await;
    t.renew(&holder, LEASE).await.expect_lost(LostReason::Gone);
    for key in &keys {
        assert!(t.get(key).await.is_none());
        assert_eq!(t.acquire(key).await.attempt(), 1);
    }
}

pub(super) async fn renewal_outlives_reopening(mut t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.renew(&lease, LEASE * 3).await.expect_applied();
    t.reopen().await;
    t.advance(LEASE * 2).await;
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.complete(&lease, value(b"done")).await.expect_applied();
}

pub(super) async fn takeover_outlives_reopening(mut t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    let second = t.take_over(&key).await;
    t.reopen().await;
    t.complete(&first, value(b"late")).await.expect_lost(LostReason::Superseded);
    t.complete(&second, value(b"done")).await.expect_applied();
}

pub(super) async fn time_continues_across_reopening(mut t: Trial) {
    let (locked, completed) = (t.key("locked"), t.key("completed"));
    t.acquire(&locked).await;
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    // Little, since reopening takes time as well.
    t.advance(2).await;
    t.reopen().await;
    t.lock(&locked, &t.claim()).await.expect_in_progress();
    // Less than a lease since then.
    t.advance(LEASE - 1).await;
    assert_eq!(t.acquire(&locked).await.attempt(), 2);
    t.advance(RETENTION - LEASE).await;
    assert!(t.get(&completed).await.is_none());
    t.reopen().await;
    assert_eq!(t.acquire(&completed).await.attempt(), 1);
}

pub(super) async fn expired_records_are_swept_after_reopening(mut t: Trial) {
    let (locked, completed) = (t.key("locked"), t.key("completed"));
    t.acquire(&locked).await;
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.outlast_record().await;
    t.reopen().await;
    let swept = crate::trial::must("expire", t.store().expire(100).await);
    assert_eq!((swept.removed, swept.more), (2, false));
}

pub(super) async fn sequence_rises_across_reopening(mut t: Trial) {
    let key = t.key("order");
    let mut last = 0;
    for _ in 0..3 {
        let lease = t.acquire(&key).await;
        assert!(lease.token().sequence > last, "{} after {last}", lease.token().sequence);
        last = lease.token().sequence;
        t.release(&lease).await.expect_applied();
        t.reopen().await;
    }
}

/// The wall clock is set back while the store is closed: leases neither freeze nor last longer.
pub(super) async fn clock_set_back_while_closed_does_not_stop_time(mut t: Trial) {
    let key = t.key("order");
    t.advance(10_000).await;
    let lease = t.acquire(&key).await;
    t.step_wall_clock(-5_000);
    t.reopen().await;
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.outlast_lease().await;
    let next = t.acquire(&key).await;
    assert_eq!(next.attempt(), 2);
    assert!(next.token().sequence > lease.token().sequence);
}

/// While a machine is suspended its wall clock goes on, and the monotonic clock that the store follows does not.
pub(super) async fn suspend_before_reopening_ends_nothing(mut t: Trial) {
    let (locked, completed) = (t.key("locked"), t.key("completed"));
    t.acquire(&t.key("before")).await;
    t.step_wall_clock(10_000);
    t.acquire(&locked).await;
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.reopen().await;
    t.lock(&locked, &t.claim()).await.expect_in_progress();
    assert_eq!(t.lock(&completed, &t.claim()).await.expect_completed().outcome, value(b"done"));
    t.outlast_lease().await;
    assert_eq!(t.acquire(&locked).await.attempt(), 2);
}

pub(super) async fn clock_set_back_while_closed_does_not_repeat_sequences(mut t: Trial) {
    let key = t.key("order");
    t.advance(10_000).await;
    let lease = t.acquire(&key).await;
    t.release(&lease).await.expect_applied();
    t.step_wall_clock(-5_000);
    t.reopen().await;
    let next = t.acquire(&key).await;
    assert!(next.token().sequence > lease.token().sequence);
}
