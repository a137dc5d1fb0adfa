//! Altered bytes in the storage are an error, and never a panic, a fresh key or a wrong answer.

use idem_core::{ErrorKind, Key, Lease};

use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial, fingerprint, value};

pub(super) async fn completed_record_is_an_error_to_every_reader(mut t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.complete(&lease, value(b"an outcome of some length, to be altered")).await.expect_applied();
    t.corrupt(&key).await;
    assert_corrupt(&t, &key).await;
}

pub(super) async fn locked_record_is_an_error_to_every_reader(mut t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"a checkpoint of some length, to be altered").await.expect_applied();
    t.corrupt(&key).await;
    assert_corrupt(&t, &key).await;
}

pub(super) async fn altered_record_is_an_error_to_its_holder(mut t: Trial) {
    let key = t.key("order");
    let lease = t.acquire(&key).await;
    t.checkpoint(&lease, 1, b"a checkpoint of some length, to be altered").await.expect_applied();
    t.corrupt(&key).await;
    assert_corrupt_to_holder(&t, &lease).await;
}

pub(super) async fn other_keys_are_unaffected(mut t: Trial) {
    let (altered, sound) = (t.key("altered"), t.key("sound"));
    let lease = t.acquire(&sound).await;
    t.complete(&lease, value(b"sound")).await.expect_applied();
    let lease = t.lock_for(&altered, &crate::trial::other_fingerprint(), &t.claim()).await.expect_acquired();
    t.complete(&lease, value(b"an outcome of some length, to be altered")).await.expect_applied();
    t.corrupt(&altered).await;
    assert_eq!(t.lock(&sound, &t.claim()).await.expect_completed().outcome, value(b"sound"));
    let fresh = t.acquire(&t.key("fresh")).await;
    t.complete(&fresh, value(b"done")).await.expect_applied();
}

async fn assert_corrupt(t: &Trial, key: &Key) {
    let store = t.store();
    // Twice, since the first call must not have repaired, removed or replaced anything.
    for _ in 0..2 {
        let got = store.get(key).await.map_err(|error| error.kind());
        assert_eq!(got, Err(ErrorKind::Corrupt), "get");
        let locked = store.lock(key, &fingerprint(), &t.claim()).await;
        let Err(error) = locked else { panic!("lock answers {locked:?} from altered bytes") };
        assert_eq!(error.kind(), ErrorKind::Corrupt, "lock");
    }
}

async fn assert_corrupt_to_holder(t: &Trial, lease: &Lease) {
    let store = t.store();
    let corrupt = Err(ErrorKind::Corrupt);
    let duration = t.ticks(LEASE);
    assert_eq!(store.renew(lease, duration).await.map_err(|error| error.kind()), corrupt, "renew");
    let outcome = value(b"done");
    let completed = store.complete(lease, outcome, t.ticks(RETENTION)).await;
    assert_eq!(completed.map_err(|error| error.kind()), corrupt, "complete");
    assert_eq!(store.release(lease).await.map_err(|error| error.kind()), corrupt, "release");
    assert_corrupt(t, lease.key()).await;
}
