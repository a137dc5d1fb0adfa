//! What a lease knows, and which waiters are woken.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, LostReason, Store};
use tokio::time::Instant;

use super::support::{LEASE, RETENTION, acquire, complete, fingerprint, key, outcome, store};
use crate::{MokaConfig, MokaStore, WhenFull};

#[tokio::test]
async fn a_lease_lasts_as_long_as_the_store_says_and_a_renewal_prolongs_it() {
    let (store, clock) = store(MokaConfig::default());
    let lease = acquire(&store, 1).await;
    assert_eq!(lease.remaining(), LEASE);
    clock.advance(LEASE / 2);
    assert_eq!(lease.remaining(), LEASE / 2);
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    assert_eq!(lease.remaining(), LEASE);
}

#[tokio::test]
async fn a_checkpoint_that_was_overtaken_does_not_prolong_the_lease() {
    let (store, clock) = store(MokaConfig::default());
    let lease = acquire(&store, 1).await;
    let progress = Bytes::from_static(b"progress");
    assert_eq!(store.checkpoint(&lease, 2, progress.clone(), LEASE).await.unwrap(), Effect::Applied);
    clock.advance(LEASE / 2);
    assert_eq!(store.checkpoint(&lease, 1, progress.clone(), LEASE).await.unwrap(), Effect::Applied);
    let record = store.get(&key(1)).await.unwrap().unwrap();
    assert_eq!(record.lease_remaining(), Some(LEASE / 2));
    assert_eq!(lease.remaining(), LEASE / 2, "the holder believes what the store does");
    assert_eq!(store.checkpoint(&lease, 3, progress, LEASE).await.unwrap(), Effect::Applied);
    assert_eq!(lease.remaining(), LEASE);
}

#[tokio::test]
async fn any_answer_that_says_so_marks_a_lease_as_completed() {
    let (store, _) = store(MokaConfig::default());
    let lease = acquire(&store, 1).await;
    let resent = acquire(&store, 1).await;
    assert_eq!(store.complete(&lease, outcome(1), RETENTION).await.unwrap(), Effect::Applied);
    assert!(lease.is_completed() && !resent.is_completed());
    assert_eq!(store.renew(&resent, LEASE).await.unwrap(), Effect::Lost(LostReason::Completed));
    assert!(resent.is_completed());
}

/// Lets the waiter run until it waits, then ends the lease. In paused time polling would show as elapsed time.
async fn wakes_at_once(end: impl AsyncFnOnce(&MokaStore, &idem_core::Lease)) {
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let lease = acquire(&store, 1).await;
    let begun = Instant::now();
    let waiter = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key(1), Duration::from_secs(20)).await.unwrap() }
    });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!waiter.is_finished());
    end(&store, &lease).await;
    assert!(waiter.await.unwrap());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_completion_wakes_waiters_at_once() {
    wakes_at_once(async |store, lease| {
        assert_eq!(store.complete(lease, outcome(1), RETENTION).await.unwrap(), Effect::Applied);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_release_wakes_waiters_at_once() {
    wakes_at_once(async |store, lease| {
        assert_eq!(store.release(lease).await.unwrap(), Effect::Applied);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forced_removal_wakes_waiters_at_once() {
    wakes_at_once(async |store, lease| assert!(store.remove(lease.key(), true).await.unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_or_over_is_no_longer_counted() {
    let (store, _) = store(MokaConfig::default());
    let _lease = acquire(&store, 1).await;
    assert!(!store.settled(&key(1), Duration::from_secs(1)).await.unwrap());
    let key = key(1);
    let dropped = store.settled(&key, Duration::from_secs(10));
    assert!(tokio::time::timeout(Duration::from_secs(1), dropped).await.is_err());
    assert_eq!(store.waiting(), 0);
}

#[tokio::test]
async fn a_completion_can_be_peeked_until_it_expires() {
    for when_full in [WhenFull::Refuse, WhenFull::Evict] {
        let (store, clock) = store(MokaConfig { when_full, ..MokaConfig::default() });
        complete(&store, 1, 10).await;
        let peeked = store.peek(&key(1), &fingerprint()).map(|completion| completion.outcome);
        assert_eq!(peeked, Some(outcome(10)));
        clock.advance(RETENTION * 2);
        assert_eq!(store.peek(&key(1), &fingerprint()), None);
    }
}
