//! The lease of a holder: its values, and for how long it counts itself as valid.

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use idem_core::{Effect, Lease, LostReason};

use crate::holder::Call;
use crate::trial::{
    ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, must, other_fingerprint, poll_once, value,
};

pub(super) async fn has_the_values_of_its_claim(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock_for(&key, &other_fingerprint(), &claim).await.expect_acquired();
    assert_eq!((*lease.key(), *lease.fingerprint()), (key, other_fingerprint()));
    assert_eq!((lease.token().owner, lease.retention()), (claim.owner, claim.retention));
    assert!(!lease.is_completed());
    assert_view_is_safe(&t, &lease).await;
}

/// A slow answer makes a lease shorter, never longer.
pub(super) async fn validity_counts_from_before_lock_was_sent(t: Trial) {
    let (key, claim, fingerprint, store) = (t.key("order"), t.claim(), fingerprint(), t.store());
    let mut call = pin!(store.lock(&key, &fingerprint, &claim));
    let answer = poll_once(call.as_mut());
    t.advance(4).await;
    let answer = match answer {
        Poll::Ready(answer) => answer,
        Poll::Pending => call.await,
    };
    let lease = must("lock", answer).expect_acquired();
    let at_most = t.ticks(LEASE - 4);
    assert!(lease.remaining() <= at_most, "{:?} of {at_most:?}", lease.remaining());
    assert_view_is_safe(&t, &lease).await;
}

pub(super) async fn validity_counts_from_before_renew_was_sent(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let store = t.store();
    let mut call = pin!(store.renew(&lease, t.ticks(LEASE * 2)));
    let answer = poll_once(call.as_mut());
    t.advance(4).await;
    let answer = match answer {
        Poll::Ready(answer) => answer,
        Poll::Pending => call.await,
    };
    must("renew", answer).expect_applied();
    let at_most = t.ticks(LEASE * 2 - 4);
    assert!(lease.remaining() <= at_most, "{:?} of {at_most:?}", lease.remaining());
    assert_view_is_safe(&t, &lease).await;
}

pub(super) async fn resent_lock_does_not_extend_the_lease(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    t.lock(&key, &claim).await.expect_acquired();
    t.advance(4).await;
    let again = t.lock(&key, &claim).await.expect_acquired();
    t.assert_time(again.remaining(), t.ticks(LEASE - 4));
    assert_view_is_safe(&t, &again).await;
}

pub(super) async fn runs_out(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    t.assert_time(lease.remaining(), t.ticks(LEASE));
    t.advance(LEASE - 2).await;
    assert!(!lease.remaining().is_zero());
    t.advance(3).await;
    assert!(lease.remaining().is_zero());
}

pub(super) async fn renewal_extends_the_lease_for_all_clones(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let clone = lease.clone();
    t.renew(&lease, LEASE * 2).await.expect_applied();
    t.assert_time(clone.remaining(), t.ticks(LEASE * 2));
    t.renew(&clone, 1).await.expect_applied();
    t.assert_time(lease.remaining(), t.ticks(LEASE * 2));
    assert_view_is_safe(&t, &lease).await;
}

pub(super) async fn checkpoint_extends_the_lease(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let (progress, duration) = (Bytes::from_static(b"half way"), t.ticks(LEASE * 2));
    must("checkpoint", t.store().checkpoint(&lease, 1, progress, duration).await).expect_applied();
    t.assert_time(lease.remaining(), t.ticks(LEASE * 2));
    assert_view_is_safe(&t, &lease).await;
}

pub(super) async fn refused_renewal_does_not_extend_the_lease(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    let second = t.take_over(&key).await;
    let remaining = second.remaining();
    t.renew(&first, LEASE * 2).await.expect_lost(LostReason::Superseded);
    assert!(first.remaining().is_zero());
    assert!(second.remaining() <= remaining);
}

pub(super) async fn completion_is_known_to_all_clones(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let clone = lease.clone();
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(lease.is_completed() && clone.is_completed());
}

pub(super) async fn resent_completion_is_known_too(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    let duplicate = t.lock(&key, &claim).await.expect_acquired();
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.complete(&duplicate, value(b"done")).await.expect_applied();
    assert!(duplicate.is_completed());
}

pub(super) async fn refused_completion_completes_no_lease(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    let second = t.take_over(&key).await;
    t.complete(&first, value(b"late")).await.expect_lost(LostReason::Superseded);
    assert!(!first.is_completed() && !second.is_completed());
}

/// Every call and every reason that shows a loss marks the lease as lost, so that the work need not remember it.
pub(super) async fn loss_is_known_to_all_clones(t: Trial) {
    let keys = Call::ALL.map(|call| t.key(&format!("{call:?}, taken over")));
    let mut lost = Vec::new();
    for key in &keys {
        lost.push(t.acquire(key).await);
    }
    t.outlast_lease().await;
    for key in &keys {
        t.acquire(key).await;
    }
    for call in Call::ALL {
        let live = t.acquire(&t.key(&format!("{call:?}, removed"))).await;
        assert!(t.remove(live.key(), true).await);
        lost.push(live);
    }
    for (lease, call) in lost.iter().zip(Call::ALL.into_iter().cycle()) {
        let clone = lease.clone();
        let answer = call.send(&t, lease).await;
        assert!(matches!(answer, Effect::Lost(_)), "{call:?}: {answer:?}");
        assert!(
            lease.is_lost() && clone.is_lost(),
            "{call:?} was answered {answer:?}, and the lease is not lost"
        );
        assert!(clone.remaining().is_zero() && !clone.is_completed(), "{call:?}");
    }
}

/// Another copy of the lease has completed the key, so the lease is completed and not lost.
pub(super) async fn completion_is_known_from_a_refusal(t: Trial) {
    for call in [Call::Renew, Call::Checkpoint, Call::Release] {
        let (key, claim) = (t.key(&format!("{call:?}")), t.claim());
        let lease = t.lock(&key, &claim).await.expect_acquired();
        let duplicate = t.lock(&key, &claim).await.expect_acquired();
        t.complete(&lease, value(b"done")).await.expect_applied();
        call.send(&t, &duplicate).await.expect_lost(LostReason::Completed);
        assert!(duplicate.is_completed() && !duplicate.is_lost(), "{call:?}");
    }
}

pub(super) async fn sequence_rises_from_attempt_to_attempt(t: Trial) {
    let key = t.key("order");
    let mut last = t.acquire(&key).await;
    for attempt in 2..5 {
        let next = t.take_over(&key).await;
        assert_eq!(next.attempt(), attempt);
        assert!(next.token().sequence > last.token().sequence);
        last = next;
    }
    t.checkpoint(&last, 1, b"half way").await.expect_applied();
    t.release(&last).await.expect_applied();
    assert!(t.acquire(&key).await.token().sequence > last.token().sequence);
}

pub(super) async fn sequence_rises_across_removal(t: Trial) {
    let key = t.key("order");
    let released = t.acquire(&key).await;
    t.release(&released).await.expect_applied();
    let removed = t.acquire(&key).await;
    assert!(removed.token().sequence > released.token().sequence);
    assert!(t.remove(&key, true).await);
    let completed = t.acquire(&key).await;
    assert!(completed.token().sequence > removed.token().sequence);
    t.complete(&completed, value(b"done")).await.expect_applied();
    t.advance(RETENTION + 1).await;
    must("expire", t.store().expire(100).await);
    let last = t.acquire(&key).await;
    assert!(last.token().sequence > completed.token().sequence);
}

pub(super) async fn step_of_the_wall_clock_changes_nothing(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.step_wall_clock(-5_000);
    let remaining = t.lock(&key, &t.claim()).await.expect_in_progress();
    t.assert_time(remaining, t.ticks(LEASE));
    t.outlast_lease().await;
    let lease = t.acquire(&key).await;
    assert_eq!(lease.attempt(), 2);
    t.step_wall_clock(5_000);
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.step_wall_clock(50_000);
    assert_eq!(t.lock(&key, &t.claim()).await.expect_completed().outcome, value(b"done"));
}

/// The holder must never believe in its lease for longer than the store does.
async fn assert_view_is_safe(t: &Trial, lease: &Lease) {
    let stored = t.record(lease.key()).await.lease_remaining().unwrap_or_default();
    let believed = lease.remaining();
    assert!(believed <= stored + t.time().tolerance(), "the holder believes in {believed:?} of {stored:?}");
}
