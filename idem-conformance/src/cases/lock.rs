//! `lock`: a case for each row of its table, and for what follows from them.

use std::time::Duration;

use idem_core::record::State;
use idem_core::{Claim, Token};

use crate::trial::{
    ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, other_fingerprint, value,
};

/// The resolution of store time.
const MICROSECOND: Duration = Duration::from_micros(1);

pub(super) async fn fresh_key_is_acquired(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!((lease.attempt(), lease.token().owner), (1, claim.owner));
    assert!(lease.checkpoint().is_none());

    let record = t.record(&key).await;
    assert_eq!((record.attempt, record.token, record.fingerprint), (1, lease.token(), fingerprint()));
    let State::Locked(locked) = &record.state else { panic!("{record:?} should be locked") };
    assert!(locked.held && locked.checkpoint.is_none());
    assert_eq!(locked.retention, claim.retention);
    t.assert_time(locked.deadline.since(record.as_of), claim.lease);
}

pub(super) async fn locked_key_past_its_retention_is_fresh(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.outlast_record().await;
    assert!(t.get(&key).await.is_none());

    let again = t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_acquired();
    assert_eq!(again.attempt(), 1);
    assert!(again.checkpoint().is_none(), "nothing of the forgotten attempt is left");
}

pub(super) async fn completed_key_past_its_retention_is_fresh(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.advance(RETENTION + 1).await;
    assert!(t.get(&key).await.is_none());
    assert_eq!(t.acquire(&key).await.attempt(), 1);
}

pub(super) async fn record_outlasts_its_lease_by_the_retention(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.advance(LEASE + RETENTION - 2).await;
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    let next = t.acquire(&key).await;
    assert_eq!(next.attempt(), 2);
    assert_eq!(next.checkpoint().map(|checkpoint| &checkpoint.progress[..]), Some(&b"half way"[..]));
}

pub(super) async fn other_fingerprint_mismatches_while_the_lease_is_live(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    let before = t.get(&key).await;
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn other_fingerprint_mismatches_when_the_lease_is_over(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.outlast_lease().await;
    let before = t.get(&key).await;
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn other_fingerprint_mismatches_for_the_holder_too(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.lock_for(&key, &other_fingerprint(), &claim).await.expect_mismatch();
    t.outlast_lease().await;
    t.lock_for(&key, &other_fingerprint(), &claim).await.expect_mismatch();
    t.complete(&lease, value(b"done")).await.expect_applied();
}

pub(super) async fn other_fingerprint_mismatches_after_a_release(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    let before = t.get(&key).await;
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn other_fingerprint_mismatches_once_completed(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.complete(&lease, value(b"done")).await.expect_applied();
    let before = t.get(&key).await;
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    t.lock_for(&key, &other_fingerprint(), &claim).await.expect_mismatch();
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn same_owner_gets_the_same_lease_while_it_is_live(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let first = t.lock(&key, &claim).await.expect_acquired();
    let before = t.get(&key).await;
    t.advance(LEASE / 2).await;
    let again = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!((again.token(), again.attempt()), (first.token(), 1));
    t.assert_unchanged(&key, before.as_ref()).await;
    t.complete(&again, value(b"done")).await.expect_applied();
}

pub(super) async fn other_owner_gets_the_remaining_time_of_the_lease(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    let before = t.get(&key).await;
    t.advance(4).await;
    let remaining = t.lock(&key, &t.claim()).await.expect_in_progress();
    t.assert_time(remaining, t.ticks(LEASE - 4));
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn lease_is_over_exactly_at_its_deadline(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.time().advance(t.ticks(LEASE).saturating_sub(MICROSECOND)).await;
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.time().advance(MICROSECOND).await;
    assert_eq!(t.acquire(&key).await.attempt(), 2);
}

pub(super) async fn record_is_forgotten_exactly_at_its_expiry(t: Trial) {
    let (locked, completed) = (t.key("locked"), t.key("completed"));
    t.acquire(&locked).await;
    t.advance(LEASE).await;
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.time().advance(t.ticks(RETENTION).saturating_sub(MICROSECOND)).await;
    assert!(t.get(&locked).await.is_some() && t.get(&completed).await.is_some());
    t.time().advance(MICROSECOND).await;
    assert!(t.get(&locked).await.is_none() && t.get(&completed).await.is_none());
}

pub(super) async fn same_owner_restarts_its_lease_when_it_is_over(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let first = t.lock(&key, &claim).await.expect_acquired();
    t.outlast_lease().await;
    let again = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!((again.token(), again.attempt()), (first.token(), 1));
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.complete(&first, value(b"done")).await.expect_applied();
}

pub(super) async fn other_owner_takes_over_when_the_lease_is_over(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    t.outlast_lease().await;
    let claim = t.claim();
    let second = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!((second.attempt(), second.token().owner), (2, claim.owner));
    assert!(second.token().sequence > first.token().sequence);
    assert!(second.checkpoint().is_none());
    t.lock(&key, &t.claim()).await.expect_in_progress();
}

pub(super) async fn takeover_keeps_the_times_of_its_own_claim(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    t.outlast_lease().await;
    let claim = Claim { lease: t.ticks(LEASE * 2), retention: t.ticks(RETENTION * 2), ..t.claim() };
    let lease = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!(lease.retention(), claim.retention);
    let record = t.record(&key).await;
    let State::Locked(locked) = &record.state else { panic!("{record:?} should be locked") };
    assert_eq!(locked.retention, claim.retention);
    t.assert_time(locked.deadline.since(record.as_of), claim.lease);
}

pub(super) async fn takeover_gets_the_checkpoint(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    t.checkpoint(&first, 7, b"charged").await.expect_applied();
    let second = t.take_over(&key).await;
    let checkpoint = second.checkpoint().map(|checkpoint| (checkpoint.step, &checkpoint.progress[..]));
    assert_eq!((second.attempt(), checkpoint), (2, Some((7, &b"charged"[..]))));
    let third = t.take_over(&key).await;
    assert_eq!((third.attempt(), third.checkpoint()), (3, second.checkpoint()), "it stays on record");
}

pub(super) async fn key_released_with_a_checkpoint_is_resumed_at_once(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    t.checkpoint(&first, 7, b"charged").await.expect_applied();
    t.release(&first).await.expect_applied();
    let second = t.acquire(&key).await;
    let checkpoint = second.checkpoint().map(|checkpoint| (checkpoint.step, &checkpoint.progress[..]));
    assert_eq!((second.attempt(), checkpoint), (2, Some((7, &b"charged"[..]))));
    assert!(second.token().sequence > first.token().sequence);
}

pub(super) async fn owner_that_released_with_a_checkpoint_begins_a_new_attempt(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let first = t.lock(&key, &claim).await.expect_acquired();
    t.checkpoint(&first, 7, b"charged").await.expect_applied();
    t.release(&first).await.expect_applied();
    let second = t.lock(&key, &claim).await.expect_acquired();
    assert_eq!((second.attempt(), second.token().owner), (2, claim.owner));
    assert!(second.token().sequence > first.token().sequence);
}

pub(super) async fn key_released_without_a_checkpoint_is_fresh(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    t.release(&first).await.expect_applied();
    let again = t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_acquired();
    assert_eq!(again.attempt(), 1);
    assert_ne!(again.token(), first.token());
}

pub(super) async fn completed_key_replays(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.complete(&lease, value(b"done")).await.expect_applied();
    let before = t.get(&key).await;
    for claim in [t.claim(), claim] {
        let completion = t.lock(&key, &claim).await.expect_completed();
        assert_eq!((completion.outcome, completion.token), (value(b"done"), lease.token()));
        t.assert_time(completion.expires_at.since(completion.completed_at), t.ticks(RETENTION));
    }
    t.assert_unchanged(&key, before.as_ref()).await;
}

pub(super) async fn completed_key_replays_the_same_bytes_until_it_expires(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    let first = t.lock(&key, &t.claim()).await.expect_completed();
    t.advance(RETENTION - 2).await;
    let last = t.lock(&key, &t.claim()).await.expect_completed();
    assert_eq!((last.outcome, last.token), (first.outcome, first.token));
    t.assert_time(last.completed_at.since(first.completed_at), Duration::ZERO);
}

pub(super) async fn keys_do_not_affect_one_another(t: Trial) {
    let keys: Vec<_> = (0..20).map(|number| t.key(&format!("order-{number}"))).collect();
    let mut tokens: Vec<Token> = Vec::new();
    for key in &keys {
        tokens.push(t.acquire(key).await.token());
    }
    for (key, token) in keys.iter().zip(&tokens) {
        let record = t.record(key).await;
        assert_eq!((record.token, record.attempt), (*token, 1));
    }
}
