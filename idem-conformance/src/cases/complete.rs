//! `complete`: the rows of its table, and what it does to the record.

use crate::holder;
use crate::holder::Call::Complete;
use idem_core::{Outcome, UnavailableReason};

use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, must, value};

pub(super) async fn applies_while_the_lease_is_live(t: Trial) {
    holder::live(t, Complete).await;
}

pub(super) async fn applies_when_the_lease_is_over_and_nobody_took_over(t: Trial) {
    holder::over(t, Complete).await;
}

pub(super) async fn is_superseded_after_a_takeover(t: Trial) {
    holder::taken_over(t, Complete).await;
}

pub(super) async fn is_superseded_for_the_same_sequence_of_another_owner(t: Trial) {
    holder::other_owner(t, Complete).await;
}

pub(super) async fn is_superseded_for_another_sequence_of_the_same_owner(t: Trial) {
    holder::other_sequence(t, Complete).await;
}

pub(super) async fn applies_again_after_its_own_completion(t: Trial) {
    holder::own_completion(t, Complete).await;
}

pub(super) async fn is_superseded_after_the_completion_of_another(t: Trial) {
    holder::completion_of_another(t, Complete).await;
}

pub(super) async fn is_lost_after_its_own_release(t: Trial) {
    holder::own_release(t, Complete).await;
}

pub(super) async fn is_superseded_after_the_release_of_another(t: Trial) {
    holder::release_of_another(t, Complete).await;
}

pub(super) async fn is_gone_after_a_removal(t: Trial) {
    holder::removed(t, Complete).await;
}

pub(super) async fn is_gone_past_the_retention(t: Trial) {
    holder::forgotten(t, Complete).await;
}

pub(super) async fn every_outcome_is_replayed_as_it_was_given(t: Trial) {
    let mut outcomes = vec![value(b""), value(&[0, 0xFF, 0x0A])];
    let reasons = [
        UnavailableReason::TooLarge,
        UnavailableReason::Streamed,
        UnavailableReason::Upgraded,
        UnavailableReason::Panicked,
        UnavailableReason::NotEncodable,
        UnavailableReason::Other,
    ];
    outcomes.extend(reasons.map(Outcome::Unavailable));
    let every_byte = (0..t.largest_outcome()).map(|at| (at % 251).to_le_bytes()[0]).collect::<Vec<_>>();
    outcomes.push(Outcome::Value(every_byte.into()));
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let key = t.key(&format!("order-{number}"));
        let lease = t.acquire(&key).await;
        t.complete(&lease, outcome.clone()).await.expect_applied();
        assert_eq!(t.lock(&key, &t.claim()).await.expect_completed().outcome, outcome);
        assert_eq!(t.record(&key).await.outcome(), Some(&outcome));
    }
}

pub(super) async fn its_retention_counts_from_the_completion(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.advance(LEASE / 2).await;
    let long = t.ticks(RETENTION * 2);
    must("complete", t.store().complete(&lease, value(b"done"), long).await).expect_applied();
    let record = t.record(&key).await;
    t.assert_time(record.expires_at().since(record.as_of), long);
    t.advance(RETENTION * 2 - 2).await;
    assert_eq!(t.lock(&key, &t.claim()).await.expect_completed().outcome, value(b"done"));
    t.advance(3).await;
    assert_eq!(t.acquire(&key).await.attempt(), 1);
}

pub(super) async fn record_lives_at_least_to_its_lease_deadline(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let short = t.ticks(1);
    must("complete", t.store().complete(&lease, value(b"done"), short).await).expect_applied();
    t.advance(LEASE - 2).await;
    assert_eq!(t.lock(&key, &t.claim()).await.expect_completed().outcome, value(b"done"));
    t.advance(3).await;
    assert_eq!(t.acquire(&key).await.attempt(), 1);
}

pub(super) async fn record_names_the_attempt_that_completed_it(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    t.checkpoint(&first, 1, b"half way").await.expect_applied();
    let second = t.take_over(&key).await;
    t.complete(&second, value(b"done")).await.expect_applied();
    let record = t.record(&key).await;
    assert_eq!((record.attempt, record.token, record.fingerprint), (2, second.token(), fingerprint()));
    assert!(record.checkpoint().is_none() && record.lease_remaining().is_none());
}
