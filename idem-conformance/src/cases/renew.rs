//! `renew`: the rows of its table, and what it does to the record.

use crate::holder;
use crate::holder::Call::Renew;
use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial};

pub(super) async fn applies_while_the_lease_is_live(t: Trial) {
    holder::live(t, Renew).await;
}

pub(super) async fn applies_when_the_lease_is_over_and_nobody_took_over(t: Trial) {
    holder::over(t, Renew).await;
}

pub(super) async fn is_superseded_after_a_takeover(t: Trial) {
    holder::taken_over(t, Renew).await;
}

pub(super) async fn is_superseded_for_the_same_sequence_of_another_owner(t: Trial) {
    holder::other_owner(t, Renew).await;
}

pub(super) async fn is_superseded_for_another_sequence_of_the_same_owner(t: Trial) {
    holder::other_sequence(t, Renew).await;
}

pub(super) async fn is_lost_after_its_own_completion(t: Trial) {
    holder::own_completion(t, Renew).await;
}

pub(super) async fn is_superseded_after_the_completion_of_another(t: Trial) {
    holder::completion_of_another(t, Renew).await;
}

pub(super) async fn is_lost_after_its_own_release(t: Trial) {
    holder::own_release(t, Renew).await;
}

pub(super) async fn is_superseded_after_the_release_of_another(t: Trial) {
    holder::release_of_another(t, Renew).await;
}

pub(super) async fn is_gone_after_a_removal(t: Trial) {
    holder::removed(t, Renew).await;
}

pub(super) async fn is_gone_past_the_retention(t: Trial) {
    holder::forgotten(t, Renew).await;
}

pub(super) async fn lease_counts_from_the_renewal(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.advance(LEASE / 2).await;
    t.renew(&lease, LEASE).await.expect_applied();
    t.assert_time(t.record(&key).await.lease_remaining().unwrap_or_default(), t.ticks(LEASE));
    t.advance(LEASE - 2).await;
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.advance(3).await;
    assert_eq!(t.acquire(&key).await.attempt(), 2);
}

pub(super) async fn lease_is_never_shortened(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let before = t.get(&key).await;
    t.renew(&lease, 1).await.expect_applied();
    t.assert_unchanged(&key, before.as_ref()).await;
    t.advance(LEASE - 2).await;
    t.lock(&key, &t.claim()).await.expect_in_progress();
}

pub(super) async fn lease_that_was_over_is_live_again(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.outlast_lease().await;
    t.renew(&lease, LEASE).await.expect_applied();
    t.lock(&key, &t.claim()).await.expect_in_progress();
}

pub(super) async fn everything_but_the_lease_stays(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 3, b"half way").await.expect_applied();
    let before = t.record(&key).await;
    t.renew(&lease, LEASE * 2).await.expect_applied();
    let after = t.record(&key).await;
    assert_eq!(
        (before.token, before.attempt, before.fingerprint),
        (after.token, after.attempt, after.fingerprint)
    );
    assert_eq!(before.checkpoint(), after.checkpoint());
    t.assert_time(after.expires_at().since(after.as_of), t.ticks(LEASE * 2 + RETENTION));
}
