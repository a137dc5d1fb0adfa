//! Fingerprints: a key that is reused for another request gets no answer.

use idem_core::Fingerprint;

use crate::trial::{ExpectEffect, ExpectLock, Trial, fingerprint, other_fingerprint, value};

pub(super) async fn one_bit_of_difference_mismatches(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    for (at, bit) in [(0, 0x80), (15, 0x10), (31, 0x01)] {
        let mut bytes = *fingerprint().as_bytes();
        bytes[at] ^= bit;
        t.lock_for(&key, &Fingerprint::from_bytes(bytes), &t.claim()).await.expect_mismatch();
    }
    t.complete(&lease, value(b"done")).await.expect_applied();
    for (at, bit) in [(0, 0x80), (15, 0x10), (31, 0x01)] {
        let mut bytes = *fingerprint().as_bytes();
        bytes[at] ^= bit;
        t.lock_for(&key, &Fingerprint::from_bytes(bytes), &t.claim()).await.expect_mismatch();
    }
}

pub(super) async fn stays_the_same_for_the_life_of_a_record(t: Trial) {
    let key = t.key("order");
    let lease = t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_acquired();
    assert_eq!(*lease.fingerprint(), other_fingerprint());
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    assert_eq!(t.record(&key).await.fingerprint, other_fingerprint());
    t.release(&lease).await.expect_applied();
    assert_eq!(t.record(&key).await.fingerprint, other_fingerprint());
    let next = t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_acquired();
    t.complete(&next, value(b"done")).await.expect_applied();
    assert_eq!(t.record(&key).await.fingerprint, other_fingerprint());
}

/// This is how a new recipe is rolled out: on a mismatch with the new fingerprint, the caller tries the old one.
pub(super) async fn old_recipe_still_replays_after_a_mismatch(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    t.lock_for(&key, &other_fingerprint(), &claim).await.expect_mismatch();
    assert_eq!(t.lock(&key, &claim).await.expect_completed().outcome, value(b"done"));
}

pub(super) async fn mismatch_does_not_affect_the_holder(t: Trial) {
    let (key, claim) = (t.key("order"), t.claim());
    let lease = t.lock(&key, &claim).await.expect_acquired();
    t.lock_for(&key, &other_fingerprint(), &t.claim()).await.expect_mismatch();
    t.renew(&lease, 20).await.expect_applied();
    assert_eq!(t.lock(&key, &claim).await.expect_acquired().token(), lease.token());
    t.complete(&lease, value(b"done")).await.expect_applied();
}
