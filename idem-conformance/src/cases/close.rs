//! `close`: twice, by two at once, and what a store tells those who come later.

use std::fmt::Debug;

use idem_core::scan::Scan;
use idem_core::{Effect, ErrorKind, LockAnswer, Result};

use crate::trial::{ExpectEffect, LEASE, RETENTION, Trial, fingerprint, must, value};

pub(super) async fn closing_again_is_closing_once(t: Trial) {
    t.acquire(&t.key("order")).await;
    must("close", t.store().close().await);
    must("close again", t.store().close().await);
}

pub(super) async fn closing_by_two_at_once_is_closing_once(t: Trial) {
    t.acquire(&t.key("order")).await;
    let (one, other) = (t.store(), t.store());
    let (one, other) = tokio::join!(one.close(), other.close());
    must("close", one);
    must("close", other);
}

pub(super) async fn later_calls_are_closed_or_answered_as_before(t: Trial) {
    let (held, completed, fresh) = (t.key("held"), t.key("completed"), t.key("fresh"));
    let lease = t.acquire(&completed).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    let lease = t.acquire(&held).await;
    must("close", t.store().close().await);

    let store = t.store();
    let locked = answered(store.lock(&completed, &fingerprint(), &t.claim()).await);
    assert!(locked.is_none_or(
        |answer| matches!(answer, LockAnswer::Completed(replay) if replay.outcome == value(b"done"))
    ));
    let at_hand = store.peek(&completed, &fingerprint());
    assert!(at_hand.is_none_or(|replay| replay.outcome == value(b"done")));
    let record = answered(store.get(&completed).await);
    assert!(
        record.is_none_or(|record| record.is_some_and(|record| record.outcome() == Some(&value(b"done"))))
    );
    let locked = answered(store.lock(&held, &fingerprint(), &t.claim()).await);
    assert!(locked.is_none_or(|answer| matches!(answer, LockAnswer::InProgress { .. })));
    assert_ne!(answered(store.settled(&held, t.ticks(1)).await), Some(true));
    let locked = answered(store.lock(&fresh, &fingerprint(), &t.claim()).await);
    assert!(locked.is_none_or(|answer| matches!(answer, LockAnswer::Acquired(_))));
    assert_ne!(answered(store.remove(&held, false).await), Some(true));
    answered(store.expire(100).await);
    if store.capabilities().scans {
        answered(store.scan(&Scan::all(), None).await);
    }
    for effect in [
        store.renew(&lease, t.ticks(LEASE)).await,
        store.checkpoint(&lease, 1, "half way".into(), t.ticks(LEASE)).await,
        store.complete(&lease, value(b"late"), t.ticks(RETENTION)).await,
    ] {
        assert!(answered(effect).is_none_or(|effect| effect == Effect::Applied));
    }
    answered(store.release(&lease).await);
}

pub(super) async fn waiting_caller_is_answered(t: Trial) {
    let key = t.key("order");
    t.acquire(&key).await;
    let (waiting, closing) = (t.store(), t.store());
    let (settled, closed) = tokio::join!(waiting.settled(&key, t.ticks(2)), closing.close());
    must("close", closed);
    assert_ne!(answered(settled), Some(true), "its lease is live");
}

/// What a store that may be closed has answered; `None`: that it is.
fn answered<T: Debug>(answer: Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::Closed => None,
        Err(error) => panic!("neither answered nor closed: {error:?}"),
    }
}
