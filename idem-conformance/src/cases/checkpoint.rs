//! `checkpoint`: the rows of its table, and what it does to the record.

use crate::holder;
use crate::holder::Call::Checkpoint;
use bytes::Bytes;
use idem_core::Key;

use crate::trial::{ExpectEffect, LEASE, Trial, must};

pub(super) async fn applies_while_the_lease_is_live(t: Trial) {
    holder::live(t, Checkpoint).await;
}

pub(super) async fn applies_when_the_lease_is_over_and_nobody_took_over(t: Trial) {
    holder::over(t, Checkpoint).await;
}

pub(super) async fn is_superseded_after_a_takeover(t: Trial) {
    holder::taken_over(t, Checkpoint).await;
}

pub(super) async fn is_superseded_for_the_same_sequence_of_another_owner(t: Trial) {
    holder::other_owner(t, Checkpoint).await;
}

pub(super) async fn is_superseded_for_another_sequence_of_the_same_owner(t: Trial) {
    holder::other_sequence(t, Checkpoint).await;
}

pub(super) async fn is_lost_after_its_own_completion(t: Trial) {
    holder::own_completion(t, Checkpoint).await;
}

pub(super) async fn is_superseded_after_the_completion_of_another(t: Trial) {
    holder::completion_of_another(t, Checkpoint).await;
}

pub(super) async fn is_lost_after_its_own_release(t: Trial) {
    holder::own_release(t, Checkpoint).await;
}

pub(super) async fn is_superseded_after_the_release_of_another(t: Trial) {
    holder::release_of_another(t, Checkpoint).await;
}

pub(super) async fn is_gone_after_a_removal(t: Trial) {
    holder::removed(t, Checkpoint).await;
}

pub(super) async fn is_gone_past_the_retention(t: Trial) {
    holder::forgotten(t, Checkpoint).await;
}

pub(super) async fn higher_step_replaces_the_one_before(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    for (step, progress) in [(0, &b"begun"[..]), (1, b"charged"), (u64::MAX, b"shipped")] {
        t.checkpoint(&lease, step, progress).await.expect_applied();
        assert_eq!(stored(&t, &key).await, Some((step, progress.to_vec())));
    }
}

pub(super) async fn equal_step_writes_nothing(t: Trial) {
    writes_nothing(t, 5).await;
}

pub(super) async fn lower_step_writes_nothing(t: Trial) {
    writes_nothing(t, 4).await;
}

async fn writes_nothing(t: Trial, step: u64) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 5, b"charged").await.expect_applied();
    let before = t.get(&key).await;
    t.advance(4).await;
    t.checkpoint(&lease, step, b"overtaken").await.expect_applied();
    t.assert_unchanged(&key, before.as_ref()).await;
    // The lease was not extended either, so the holder must not believe that it was.
    let stored = t.record(&key).await.lease_remaining().unwrap_or_default();
    assert!(lease.remaining() <= stored, "the holder believes in {:?} of {stored:?}", lease.remaining());
}

pub(super) async fn step_of_an_earlier_attempt_counts(t: Trial) {
    let key = t.key("order");
    let first = t.acquire(&key).await;
    t.checkpoint(&first, 5, b"charged").await.expect_applied();
    let second = t.take_over(&key).await;
    t.checkpoint(&second, 5, b"again").await.expect_applied();
    assert_eq!(stored(&t, &key).await, Some((5, b"charged".to_vec())));
    t.checkpoint(&second, 6, b"shipped").await.expect_applied();
    assert_eq!(stored(&t, &key).await, Some((6, b"shipped".to_vec())));
}

pub(super) async fn lease_counts_from_the_checkpoint(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.advance(LEASE / 2).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.assert_time(t.record(&key).await.lease_remaining().unwrap_or_default(), t.ticks(LEASE));
}

pub(super) async fn lease_is_never_shortened(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let (progress, short) = (Bytes::from_static(b"half way"), t.ticks(1));
    must("checkpoint", t.store().checkpoint(&lease, 1, progress, short).await).expect_applied();
    t.assert_time(t.record(&key).await.lease_remaining().unwrap_or_default(), t.ticks(LEASE));
}

pub(super) async fn empty_progress_is_a_checkpoint_too(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 0, b"").await.expect_applied();
    assert_eq!(stored(&t, &key).await, Some((0, Vec::new())));
    t.release(&lease).await.expect_applied();
    let next = t.acquire(&key).await;
    assert_eq!((next.attempt(), next.checkpoint().map(|checkpoint| checkpoint.step)), (2, Some(0)));
}

pub(super) async fn largest_progress_reaches_the_next_attempt(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let every_byte = (0..t.largest_outcome()).map(|at| (at % 251).to_le_bytes()[0]).collect::<Bytes>();
    let renewed = t.ticks(LEASE);
    must("checkpoint", t.store().checkpoint(&lease, 1, every_byte.clone(), renewed).await).expect_applied();
    let next = t.take_over(&key).await;
    assert_eq!(next.checkpoint().map(|checkpoint| &checkpoint.progress), Some(&every_byte));
}

async fn stored(t: &Trial, key: &Key) -> Option<(u64, Vec<u8>)> {
    let record = t.record(key).await;
    record.checkpoint().map(|checkpoint| (checkpoint.step, checkpoint.progress.to_vec()))
}
