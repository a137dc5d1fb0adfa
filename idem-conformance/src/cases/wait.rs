//! `settled`: waiting for the end of a lease.

use std::pin::pin;
use std::time::Duration;

use idem_core::Key;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::trial::{ExpectEffect, ExpectLock, LEASE, Trial, must, poll_once, value};
use crate::wrap::Polling;

/// Longer than any case may run: a waiter that is not woken fails the case.
const FOREVER: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(20);

pub(super) async fn key_that_nobody_holds_is_settled(t: Trial) {
    let names = ["never locked", "completed", "released", "over", "forgotten"];
    let [never, completed, released, over, forgotten] = names.map(|name| t.key(name));
    t.acquire(&forgotten).await;
    t.outlast_record().await;
    t.acquire(&over).await;
    t.outlast_lease().await;
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    let lease = t.acquire(&released).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    for key in [never, completed, released, over, forgotten] {
        assert!(must("settled", t.store().settled(&key, FOREVER).await));
        assert!(must("settled", t.store().settled(&key, Duration::ZERO).await));
    }
}

pub(super) async fn live_lease_is_not_settled_in_time(t: Trial) {
    let key = t.key("order");
    let claim = idem_core::Claim { lease: t.ticks(1_000), retention: t.ticks(1_000), ..t.claim() };
    let lease = t.lock(&key, &claim).await.expect_acquired();
    let before = t.get(&key).await;
    assert!(!must("settled", t.store().settled(&key, Duration::ZERO).await));
    let asked = Instant::now();
    assert!(!must("settled", t.store().settled(&key, SHORT).await));
    assert!(asked.elapsed() >= SHORT, "the wait ended after {:?}", asked.elapsed());
    t.assert_unchanged(&key, before.as_ref()).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
}

pub(super) async fn completion_wakes(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let waiter = begin_to_wait(&t, lease.key()).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(must("waiter", waiter.await));
}

pub(super) async fn release_wakes(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let waiter = begin_to_wait(&t, lease.key()).await;
    t.release(&lease).await.expect_applied();
    assert!(must("waiter", waiter.await));
}

pub(super) async fn release_with_a_checkpoint_wakes(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    let waiter = begin_to_wait(&t, lease.key()).await;
    t.release(&lease).await.expect_applied();
    assert!(must("waiter", waiter.await));
}

pub(super) async fn removal_wakes(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let waiter = begin_to_wait(&t, lease.key()).await;
    assert!(t.remove(lease.key(), true).await);
    assert!(must("waiter", waiter.await));
}

pub(super) async fn end_of_the_lease_wakes(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let waiter = begin_to_wait(&t, lease.key()).await;
    t.outlast_lease().await;
    assert!(must("waiter", waiter.await));
}

pub(super) async fn renewal_keeps_waiting(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let store = t.store();
    let mut waiter = pin!(store.settled(lease.key(), FOREVER));
    for _ in 0..3 {
        t.renew(&lease, LEASE * 2).await.expect_applied();
        let woken = tokio::time::timeout(SHORT, waiter.as_mut()).await;
        assert!(woken.is_err(), "the lease is live");
        t.advance(LEASE / 2).await;
    }
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(must("settled", waiter.await));
}

pub(super) async fn longest_timeout_is_accepted(t: Trial) {
    let lease = t.acquire(&t.key("order")).await;
    let store = t.store();
    let mut waiter = pin!(store.settled(lease.key(), Duration::MAX));
    assert!(poll_once(waiter.as_mut()).is_pending());
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert!(must("settled", waiter.await));
}

pub(super) async fn waiters_do_not_block_others_and_are_all_woken(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let mut waiters = Vec::new();
    for _ in 0..200 {
        waiters.push(begin_to_wait(&t, &key).await);
    }
    t.lock(&key, &t.claim()).await.expect_in_progress();
    t.renew(&lease, LEASE).await.expect_applied();
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    let other = t.acquire(&t.key("another order")).await;
    t.complete(&other, value(b"done")).await.expect_applied();
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "the lease is live");
    t.complete(&lease, value(b"done")).await.expect_applied();
    for waiter in waiters {
        assert!(must("waiter", waiter.await));
    }
}

/// Compared with a wait by polling on the same store at the same time, since no fixed bound fits every store and
/// machine.
pub(super) async fn completion_wakes_sooner_than_polling_would(t: Trial) {
    const WAITERS: u32 = 16;
    /// Polling has slowed down to its longest pause by then.
    const SETTLING: Duration = Duration::from_millis(600);

    let mut leases = Vec::new();
    let (mut notified, mut polled) = (Vec::new(), Vec::new());
    for number in 0..WAITERS {
        let key = t.key(&format!("order-{number}"));
        let claim = idem_core::Claim { lease: t.ticks(10_000), retention: t.ticks(10_000), ..t.claim() };
        leases.push(t.lock(&key, &claim).await.expect_acquired());
        let (store, polling) = (t.store(), Polling::new(t.store()));
        notified.push(tokio::spawn(async move { woken_at(&store, &key).await }));
        polled.push(tokio::spawn(async move { woken_at(&polling, &key).await }));
        tokio::time::sleep(Duration::from_millis(7)).await; // Waiters must not all poll at the same moment.
    }
    tokio::time::sleep(SETTLING).await;
    let (mut took, mut polling_took) = (Duration::ZERO, Duration::ZERO);
    for (lease, (notified, polled)) in leases.iter().zip(notified.into_iter().zip(polled)) {
        let completing = Instant::now();
        t.complete(lease, value(b"done")).await.expect_applied();
        took += must("notified", notified.await).saturating_duration_since(completing);
        polling_took += must("polling", polled.await).saturating_duration_since(completing);
    }
    assert!(took * 2 < polling_took, "notified waiters took {took:?}, polling ones {polling_took:?}");
}

async fn woken_at(store: &dyn idem_core::Store, key: &Key) -> Instant {
    assert!(must("settled", store.settled(key, FOREVER).await));
    Instant::now()
}

/// Starts a task that waits for `key`; returns once it waits.
async fn begin_to_wait(t: &Trial, key: &Key) -> JoinHandle<bool> {
    let (store, key) = (t.store(), *key);
    let (begun, waits) = tokio::sync::oneshot::channel();
    let waiter = tokio::spawn(async move {
        let mut settled = pin!(store.settled(&key, FOREVER));
        assert!(poll_once(settled.as_mut()).is_pending(), "the lease is live");
        // The receiver is gone when the case has failed already.
        let _ = begun.send(());
        must("settled", settled.await)
    });
    must("begin to wait", waits.await);
    waiter
}
