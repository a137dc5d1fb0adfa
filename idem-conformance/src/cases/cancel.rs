//! Dropped futures: the call is carried out whole or not at all, and the same call, sent again, is answered as if
//! it had not been dropped.

use std::pin::pin;

use bytes::Bytes;
use idem_core::record::State;
use idem_core::{Effect, LockAnswer, LostReason, Outcome};
use tokio::task::JoinSet;

use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, poll_once, value};

/// How often a future is polled before it is dropped: from not at all to enough for most calls to be done.
const POLLS: std::ops::Range<u32> = 0..5;

pub(super) async fn lock(t: Trial) {
    for polls in POLLS {
        let (key, claim) = (t.key(&format!("order-{polls}")), t.claim());
        let (store, fingerprint) = (t.store(), fingerprint());
        drop_after(polls, store.lock(&key, &fingerprint, &claim)).await;
        if let Some(record) = t.get(&key).await {
            assert_eq!((record.token.owner, record.attempt), (claim.owner, 1));
        }
        let lease = t.lock(&key, &claim).await.expect_acquired();
        assert_eq!(lease.attempt(), 1);
        t.lock(&key, &t.claim()).await.expect_in_progress();
        t.complete(&lease, value(b"done")).await.expect_applied();
    }
}

pub(super) async fn takeover(t: Trial) {
    let names = POLLS.map(|polls| format!("order-{polls}"));
    let mut holders = Vec::new();
    for name in names {
        let holder = t.acquire(&t.key(&name)).await;
        t.checkpoint(&holder, 1, b"half way").await.expect_applied();
        holders.push(holder);
    }
    t.outlast_lease().await;
    for (polls, first) in POLLS.zip(&holders) {
        let (key, claim) = (*first.key(), t.claim());
        let (store, fingerprint) = (t.store(), fingerprint());
        drop_after(polls, store.lock(&key, &fingerprint, &claim)).await;
        let record = t.record(&key).await;
        let before = (record.token, record.attempt) == (first.token(), 1);
        assert!(before || (record.token.owner, record.attempt) == (claim.owner, 2), "{record:?}");
        let second = t.lock(&key, &claim).await.expect_acquired();
        let step = second.checkpoint().map(|checkpoint| checkpoint.step);
        assert_eq!((second.attempt(), step), (2, Some(1)));
        t.complete(first, value(b"late")).await.expect_lost(LostReason::Superseded);
        t.complete(&second, value(b"done")).await.expect_applied();
    }
}

pub(super) async fn renew(t: Trial) {
    for polls in POLLS {
        let key = t.key(&format!("order-{polls}"));
        let lease = t.acquire(&key).await;
        drop_after(polls, t.store().renew(&lease, t.ticks(LEASE * 2))).await;
        let record = t.record(&key).await;
        assert_eq!((record.token, record.attempt), (lease.token(), 1));
        let left = record.lease_remaining().unwrap_or_default();
        let tolerance = t.time().tolerance();
        assert!(left + tolerance >= t.ticks(LEASE - 1) && left <= t.ticks(LEASE * 2) + tolerance, "{left:?}");
        t.renew(&lease, LEASE * 2).await.expect_applied();
        t.complete(&lease, value(b"done")).await.expect_applied();
    }
}

pub(super) async fn checkpoint(t: Trial) {
    for polls in POLLS {
        let key = t.key(&format!("order-{polls}"));
        let lease = t.acquire(&key).await;
        t.checkpoint(&lease, 1, b"one").await.expect_applied();
        let (progress, duration) = (Bytes::from_static(b"two"), t.ticks(LEASE));
        drop_after(polls, t.store().checkpoint(&lease, 2, progress, duration)).await;
        let record = t.record(&key).await;
        let stored = record.checkpoint().map(|checkpoint| (checkpoint.step, &checkpoint.progress[..]));
        assert!([Some((1, &b"one"[..])), Some((2, b"two"))].contains(&stored), "{stored:?}");
        t.checkpoint(&lease, 2, b"two").await.expect_applied();
        t.release(&lease).await.expect_applied();
        let next = t.acquire(&key).await;
        assert_eq!(next.checkpoint().map(|checkpoint| &checkpoint.progress[..]), Some(&b"two"[..]));
    }
}

pub(super) async fn complete(t: Trial) {
    for polls in POLLS {
        let key = t.key(&format!("order-{polls}"));
        let lease = t.acquire(&key).await;
        drop_after(polls, t.store().complete(&lease, value(b"done"), t.ticks(RETENTION))).await;
        let record = t.record(&key).await;
        assert_eq!((record.token, record.attempt), (lease.token(), 1));
        match &record.state {
            State::Locked(locked) => assert!(locked.held),
            State::Completed(completed) => assert_eq!(completed.outcome, value(b"done")),
        }
        t.complete(&lease, value(b"done")).await.expect_applied();
        assert_eq!(t.lock(&key, &t.claim()).await.expect_completed().outcome, value(b"done"));
    }
}

pub(super) async fn release(t: Trial) {
    for polls in POLLS {
        let key = t.key(&format!("order-{polls}"));
        let lease = t.acquire(&key).await;
        drop_after(polls, t.store().release(&lease)).await;
        if let Some(record) = t.get(&key).await {
            assert_eq!((record.token, record.attempt), (lease.token(), 1));
        }
        let again = t.release(&lease).await;
        assert!(matches!(again, Effect::Applied | Effect::Lost(LostReason::Gone)), "{again:?}");
        assert_eq!(t.acquire(&key).await.attempt(), 1);
    }
}

pub(super) async fn remove(t: Trial) {
    for polls in POLLS {
        let key = t.key(&format!("order-{polls}"));
        let lease = t.acquire(&key).await;
        t.complete(&lease, value(b"done")).await.expect_applied();
        drop_after(polls, t.store().remove(&key, true)).await;
        if let Some(record) = t.get(&key).await {
            assert_eq!(record.outcome(), Some(&value(b"done")));
        }
        t.remove(&key, true).await;
        assert!(t.get(&key).await.is_none());
        assert_eq!(t.acquire(&key).await.attempt(), 1);
    }
}

pub(super) async fn reads(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    let before = t.get(&key).await;
    for polls in POLLS {
        drop_after(polls, t.store().get(&key)).await;
        drop_after(polls, t.store().settled(&key, std::time::Duration::from_mins(1))).await;
        drop_after(polls, t.store().expire(100)).await;
        t.assert_unchanged(&key, before.as_ref()).await;
    }
    t.complete(&lease, value(b"done")).await.expect_applied();
}

/// Callers that all give up leave at most one lease, which ends by itself.
pub(super) async fn many_dropped_locks_leave_a_usable_key(t: Trial) {
    let key = t.key("order");
    let mut tasks = JoinSet::new();
    for number in 0..64_u32 {
        let (store, claim) = (t.store(), t.claim());
        tasks.spawn(async move {
            let fingerprint = fingerprint();
            drop_after(number % 4, store.lock(&key, &fingerprint, &claim)).await;
        });
    }
    tasks.join_all().await;
    // A call that was dropped while it ran may still arrive. This `lock` is answered after it.
    let (LockAnswer::Acquired(_) | LockAnswer::InProgress { .. }) = t.lock(&key, &t.claim()).await else {
        panic!("nobody completed the key");
    };
    assert_eq!(t.record(&key).await.attempt, 1);
    let lease = t.take_over(&key).await;
    assert_eq!(lease.attempt(), 2);
    t.complete(&lease, value(b"done")).await.expect_applied();
    let outcome: Outcome = t.lock(&key, &t.claim()).await.expect_completed().outcome;
    assert_eq!(outcome, value(b"done"));
}

/// Polls `call` this many times, lets others run in between, and drops it.
async fn drop_after<T>(polls: u32, call: impl Future<Output = T>) {
    let mut call = pin!(call);
    for _ in 0..polls {
        if poll_once(call.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
