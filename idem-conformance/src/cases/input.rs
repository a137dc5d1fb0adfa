//! Bad input: refused with its kind of error, and nothing written. (A bad key never reaches a store:
//! `Key::new` refuses it.)

use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::limits::{MAX_LEASE, MAX_RETENTION, MIN_DURATION};
use idem_core::{Claim, ErrorKind, Lease, Outcome, Result, UnavailableReason};

use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, must, value};

const TOO_SHORT: Duration = Duration::from_micros(999);

pub(super) async fn lock_refuses_a_lease_outside_its_limits(t: Trial) {
    for lease in [Duration::ZERO, TOO_SHORT, MAX_LEASE + MIN_DURATION, Duration::MAX] {
        assert_lock_refused(&t, &Claim { lease, retention: MAX_RETENTION, ..t.claim() }).await;
    }
}

pub(super) async fn lock_refuses_a_retention_outside_its_limits(t: Trial) {
    for retention in [Duration::ZERO, TOO_SHORT, MAX_RETENTION + MIN_DURATION, Duration::MAX] {
        assert_lock_refused(&t, &Claim { lease: MIN_DURATION, retention, ..t.claim() }).await;
    }
}

pub(super) async fn lock_refuses_a_retention_shorter_than_the_lease(t: Trial) {
    let claim = Claim { lease: t.ticks(LEASE), retention: t.ticks(LEASE - 1), ..t.claim() };
    assert_lock_refused(&t, &claim).await;
}

pub(super) async fn lock_accepts_the_longest_allowed_times(t: Trial) {
    let claim = Claim { lease: MAX_LEASE, retention: MAX_RETENTION, ..t.claim() };
    let lease = t.lock(&t.key("order"), &claim).await.expect_acquired();
    must("renew", t.store().renew(&lease, MAX_LEASE).await).expect_applied();
    must("complete", t.store().complete(&lease, value(b"done"), MAX_RETENTION).await).expect_applied();
    assert_eq!(t.lock(lease.key(), &t.claim()).await.expect_completed().outcome, value(b"done"));
}

pub(super) async fn refused_lock_does_not_affect_the_holder(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    let before = t.get(&key).await;
    let absurd = Claim { lease: Duration::ZERO, ..claim };
    assert_kind(t.store().lock(&key, &fingerprint(), &absurd).await, ErrorKind::InvalidArgument);
    t.assert_unchanged(&key, before.as_ref()).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
}

pub(super) async fn renew_refuses_a_lease_outside_its_limits(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let before = t.get(lease.key()).await;
    for duration in [Duration::ZERO, TOO_SHORT, MAX_LEASE + MIN_DURATION, Duration::MAX] {
        assert_kind(t.store().renew(&lease, duration).await, ErrorKind::InvalidArgument);
    }
    t.assert_unchanged(lease.key(), before.as_ref()).await;
    assert!(lease.remaining() <= t.ticks(LEASE), "a refused renewal prolongs nothing");
}

pub(super) async fn checkpoint_refuses_a_lease_outside_its_limits(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let before = t.get(lease.key()).await;
    for duration in [Duration::ZERO, TOO_SHORT, MAX_LEASE + MIN_DURATION, Duration::MAX] {
        let progress = Bytes::from_static(b"half way");
        let answer = t.store().checkpoint(&lease, 1, progress, duration).await;
        assert_kind(answer, ErrorKind::InvalidArgument);
    }
    t.assert_unchanged(lease.key(), before.as_ref()).await;
}

pub(super) async fn complete_refuses_a_retention_outside_its_limits(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    for retention in [Duration::ZERO, TOO_SHORT, MAX_RETENTION + MIN_DURATION, Duration::MAX] {
        let answer = t.store().complete(&lease, value(b"done"), retention).await;
        assert_kind(answer, ErrorKind::InvalidArgument);
    }
    assert_still_held(&t, &lease).await;
}

pub(super) async fn outcome_above_the_limit_is_too_large(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let before = t.get(lease.key()).await;
    let outcome = Outcome::Value(vec![7; t.largest_outcome() + 1].into());
    let answer = t.store().complete(&lease, outcome, t.ticks(RETENTION)).await;
    assert_kind(answer, ErrorKind::TooLarge);
    t.assert_unchanged(lease.key(), before.as_ref()).await;
    assert_still_held(&t, &lease).await;
    let reason = Outcome::Unavailable(UnavailableReason::TooLarge);
    t.complete(&lease, reason.clone()).await.expect_applied();
    assert_eq!(t.lock(lease.key(), &t.claim()).await.expect_completed().outcome, reason);
}

pub(super) async fn checkpoint_above_the_limit_is_too_large(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    let before = t.get(lease.key()).await;
    let progress = Bytes::from(vec![7; t.largest_outcome() + 1]);
    let answer = t.store().checkpoint(&lease, 2, progress, t.ticks(LEASE * 2)).await;
    assert_kind(answer, ErrorKind::TooLarge);
    t.assert_unchanged(lease.key(), before.as_ref()).await;
    assert!(lease.remaining() <= t.ticks(LEASE), "a refused checkpoint prolongs nothing");
}

async fn assert_lock_refused(t: &Trial, claim: &Claim) {
    let key = t.key("order");
    assert_kind(t.store().lock(&key, &fingerprint(), claim).await, ErrorKind::InvalidArgument);
    assert!(t.get(&key).await.is_none(), "nothing was written for {claim:?}");
}

async fn assert_still_held(t: &Trial, lease: &Lease) {
    assert!(!lease.is_completed());
    t.lock(lease.key(), &t.claim()).await.expect_in_progress();
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(answer: Result<T>, kind: ErrorKind) {
    let Err(error) = answer else { panic!("{answer:?} should be an error: {kind}") };
    assert_eq!(error.kind(), kind, "{error}");
}
