//! A store that refuses new keys still serves those who hold one.

use bytes::Bytes;
use idem_core::{ErrorKind, LockAnswer, Outcome};

use crate::trial::{ExpectEffect, ExpectLock, LEASE, Trial, fingerprint, key_in, must};

pub(super) async fn holder_is_served_by_a_full_store(t: Trial) {
    let first = t.acquire(&t.key("first")).await;
    let second = t.acquire(&t.key("second")).await;
    let third = t.acquire(&t.key("third")).await;
    fill(&t).await;
    // A completion under an earlier lease takes the store beyond its bound.
    t.complete(&first, largest(&t)).await.expect_applied();
    for lease in [&second, &third] {
        t.renew(lease, LEASE).await.expect_applied();
        t.checkpoint(lease, 1, b"half way").await.expect_applied();
        t.renew(lease, LEASE).await.expect_applied();
    }
    let progress = Bytes::from(vec![7; t.largest_outcome()]);
    must("checkpoint", t.store().checkpoint(&second, 2, progress, t.ticks(LEASE)).await).expect_applied();
    t.release(&second).await.expect_applied();
    t.complete(&third, largest(&t)).await.expect_applied();
    let resumed = t.acquire(second.key()).await;
    assert_eq!((resumed.attempt(), resumed.checkpoint().map(|checkpoint| checkpoint.step)), (2, Some(2)));
    assert_eq!(t.lock(third.key(), &t.claim()).await.expect_completed().outcome, largest(&t));
}

pub(super) async fn known_key_is_taken_over_in_a_full_store(t: Trial) {
    let other = t.acquire(&t.key("other")).await;
    let crashed = t.acquire(&t.key("crashed")).await;
    fill(&t).await;
    t.complete(&other, largest(&t)).await.expect_applied();
    let next = t.take_over(crashed.key()).await;
    assert_eq!(next.attempt(), 2);
    t.complete(&next, Outcome::Value(Bytes::from_static(b"done"))).await.expect_applied();
}

fn largest(t: &Trial) -> Outcome {
    Outcome::Value(vec![7; t.largest_outcome()].into())
}

/// Completes keys of other scopes until the store refuses new ones; a few keys where it has no bound.
async fn fill(t: &Trial) {
    const WITHOUT_A_BOUND: usize = 8;
    const MOST: usize = 4_096;
    let bounded = t.store().capabilities().bounded;
    let outcome = largest(t);
    for number in 0..if bounded { MOST } else { WITHOUT_A_BOUND } {
        let key = key_in(format!("tenant {number}"), "order");
        match t.store().lock(&key, &fingerprint(), &t.claim()).await {
            Ok(LockAnswer::Acquired(lease)) => t.complete(&lease, outcome.clone()).await.expect_applied(),
            Err(error) if error.kind() == ErrorKind::Full => return,
            other => panic!("a fresh key is {other:?}"),
        }
    }
    assert!(!bounded, "a bounded store took {MOST} of its largest outcomes: give its harness a lower bound");
}
