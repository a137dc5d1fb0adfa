//! `peek` answers exactly what `lock` would answer, or nothing.

use idem_core::record::Replay;

use crate::trial::{ExpectEffect, ExpectLock, Trial, fingerprint, other_fingerprint, value};

fn peek(t: &Trial, key: &idem_core::Key) -> Option<Replay> {
    t.store().peek(key, &fingerprint())
}

pub(super) async fn peeked_completion_is_that_of_lock(t: Trial) {
    for (number, outcome) in [value(b"done"), value(b"")].into_iter().enumerate() {
        let key = t.key(&format!("order-{number}"));
        let lease = t.acquire(&key).await;
        t.complete(&lease, outcome).await.expect_applied();
        // Any number of times.
        for _ in 0..3 {
            let peeked = peek(&t, &key);
            let replay = t.lock(&key, &t.claim()).await.expect_completed();
            assert!(peeked.is_none_or(|peeked| peeked == replay), "{replay:?}");
        }
    }
}

pub(super) async fn other_fingerprint_peeks_nothing(t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"done")).await.expect_applied();
    assert_eq!(t.store().peek(&key, &other_fingerprint()), None);
}

pub(super) async fn unfinished_key_peeks_nothing(t: Trial) {
    let key = t.key("order");
    assert_eq!(peek(&t, &key), None);
    let lease = t.acquire(&key).await;
    assert_eq!(peek(&t, &key), None);
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    assert_eq!(peek(&t, &key), None);
    let _second = t.acquire(&key).await;
    t.outlast_lease().await;
    assert_eq!(peek(&t, &key), None);
}

pub(super) async fn removed_or_expired_record_peeks_nothing(t: Trial) {
    let (removed, expired) = (t.key("removed"), t.key("expired"));
    for key in [&removed, &expired] {
        let lease = t.acquire(key).await;
        t.complete(&lease, value(b"done")).await.expect_applied();
        // A store might wrongly remember its first answer.
        let _peeked = peek(&t, key);
    }
    assert!(t.remove(&removed, false).await);
    assert_eq!(peek(&t, &removed), None);
    t.outlast_record().await;
    assert_eq!(peek(&t, &expired), None);
    let again = t.acquire(&expired).await;
    t.complete(&again, value(b"anew")).await.expect_applied();
    assert!(peek(&t, &expired).is_none_or(|peeked| peeked.outcome == value(b"anew")));
}
