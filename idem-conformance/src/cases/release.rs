//! `release`: the rows of its table, and what it does to the record.

use crate::holder;
use crate::holder::Call::Release;
use idem_core::LostReason;

use crate::trial::{ExpectEffect, LEASE, RETENTION, Trial};

pub(super) async fn applies_while_the_lease_is_live(t: Trial) {
    holder::live(t, Release).await;
}

pub(super) async fn applies_when_the_lease_is_over_and_nobody_took_over(t: Trial) {
    holder::over(t, Release).await;
}

pub(super) async fn is_superseded_after_a_takeover(t: Trial) {
    holder::taken_over(t, Release).await;
}

pub(super) async fn is_superseded_for_the_same_sequence_of_another_owner(t: Trial) {
    holder::other_owner(t, Release).await;
}

pub(super) async fn is_superseded_for_another_sequence_of_the_same_owner(t: Trial) {
    holder::other_sequence(t, Release).await;
}

pub(super) async fn is_lost_after_its_own_completion(t: Trial) {
    holder::own_completion(t, Release).await;
}

pub(super) async fn is_superseded_after_the_completion_of_another(t: Trial) {
    holder::completion_of_another(t, Release).await;
}

pub(super) async fn is_lost_after_its_own_release(t: Trial) {
    holder::own_release(t, Release).await;
}

pub(super) async fn is_superseded_after_the_release_of_another(t: Trial) {
    holder::release_of_another(t, Release).await;
}

pub(super) async fn is_gone_after_a_removal(t: Trial) {
    holder::removed(t, Release).await;
}

pub(super) async fn is_gone_past_the_retention(t: Trial) {
    holder::forgotten(t, Release).await;
}

pub(super) async fn record_without_a_checkpoint_is_removed(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.release(&lease).await.expect_applied();
    assert!(t.get(&key).await.is_none());
    t.release(&lease).await.expect_lost(LostReason::Gone);
}

pub(super) async fn record_with_a_checkpoint_is_kept_without_a_holder(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 2, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    let record = t.record(&key).await;
    assert_eq!((record.token, record.attempt, record.lease_remaining()), (lease.token(), 1, None));
    assert_eq!(record.checkpoint().map(|checkpoint| checkpoint.step), Some(2));
}

pub(super) async fn record_with_a_checkpoint_is_kept_for_the_retention(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 2, b"half way").await.expect_applied();
    t.advance(LEASE / 2).await;
    t.release(&lease).await.expect_applied();
    let record = t.record(&key).await;
    t.assert_time(record.expires_at().since(record.as_of), t.ticks(RETENTION));
    t.advance(RETENTION - 2).await;
    assert!(t.get(&key).await.is_some());
    t.advance(3).await;
    assert!(t.get(&key).await.is_none());
    assert_eq!(t.acquire(&key).await.attempt(), 1);
}
