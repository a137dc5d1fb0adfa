//! `erase`: all records of a scope, and no others.

use idem_core::scan::Erased;
use idem_core::{Key, Lease, LostReason, Scope, Store};

use crate::listing::{MOST_CALLS, everything, list, long, scope};
use crate::trial::{ExpectEffect, ExpectLock, Trial, key_in, must, other_fingerprint, poll_once, value};

pub(super) async fn records_of_the_scope_go_and_others_stay(t: Trial) {
    let mut stay = Vec::new();
    for number in 0..12 {
        let key = key_in(["alice", "bob"][number % 2], &format!("order-{number}"));
        let lease = t.acquire(&key).await;
        t.complete(&lease, value(b"done")).await.expect_applied();
        if number % 2 == 0 {
            stay.push(key);
        }
    }
    let erased = erase(&t, "bob", false).await;
    assert_eq!((erased.removed, erased.held, erased.damaged), (6, 0, 0));
    let listed = list(&t, &everything()).await;
    stay.sort_unstable();
    assert_eq!(listed.into_keys().collect::<Vec<_>>(), stay);
    assert_eq!(t.acquire(&key_in("bob", "order-1")).await.attempt(), 1);
    assert_eq!(erase(&t, "nobody", false).await, Erased::default());
}

pub(super) async fn lapsed_and_released_records_go(t: Trial) {
    let (lapsed, released) = (t.key("lapsed"), t.key("released"));
    t.acquire(&lapsed).await;
    t.outlast_lease().await;
    let lease = t.acquire(&released).await;
    t.checkpoint(&lease, 1, b"half way").await.expect_applied();
    t.release(&lease).await.expect_applied();
    assert_eq!(erase(&t, "conformance", false).await.removed, 2);
    for key in [lapsed, released] {
        let again = t.acquire(&key).await;
        assert!(again.attempt() == 1 && again.checkpoint().is_none(), "{again:?}");
    }
}

pub(super) async fn live_leases_stay_without_force(t: Trial) {
    let lease = hold(&t, "held").await;
    let done = hold(&t, "done").await;
    t.complete(&done, value(b"done")).await.expect_applied();
    let erased = erase(&t, "conformance", false).await;
    assert_eq!((erased.removed, erased.held), (1, 1));
    t.complete(&lease, value(b"in time")).await.expect_applied();
    assert_eq!(t.lock(lease.key(), &t.claim()).await.expect_completed().outcome, value(b"in time"));
}

pub(super) async fn force_takes_live_leases_too(t: Trial) {
    let lease = hold(&t, "held").await;
    let erased = erase(&t, "conformance", true).await;
    assert_eq!((erased.removed, erased.held), (1, 0));
    t.complete(&lease, value(b"late")).await.expect_lost(LostReason::Gone);
}

pub(super) async fn many_records_go_in_steps(t: Trial) {
    let mut keys: Vec<Key> = Vec::new();
    for number in 0..300 {
        keys.push(*hold(&t, &format!("order-{number}")).await.key());
    }
    let (store, scope) = (t.store(), scope());
    let step = must("erase", store.erase(&scope, true, None).await);
    assert!(step.next.is_some(), "no step is as large as {} records", keys.len());
    let mut removed = step.removed;
    let mut after = step.next;
    // A call that is dropped is sent again, with the same cursor.
    {
        let mut dropped = Box::pin(store.erase(&scope, true, after.as_ref()));
        let _unfinished = poll_once(dropped.as_mut());
    }
    for _ in 0..MOST_CALLS {
        let Some(cursor) = after else { break };
        let step = must("erase", store.erase(&scope, true, Some(&cursor)).await);
        removed += step.removed;
        after = step.next;
    }
    assert!(after.is_none() && removed <= 300);
    assert!(list(&t, &everything()).await.is_empty());
}

pub(super) async fn damaged_record_is_counted_and_goes_by_force(mut t: Trial) {
    let altered = t.key("altered");
    let lease = t.lock_for(&altered, &other_fingerprint(), &t.claim()).await.expect_acquired();
    t.complete(&lease, value(b"an outcome of some length, to be altered")).await.expect_applied();
    let sound = t.acquire(&t.key("sound")).await;
    t.complete(&sound, value(b"done")).await.expect_applied();
    t.corrupt(&altered).await;
    let erased = erase(&t, "conformance", false).await;
    // Not every store reads what it removes.
    assert_eq!((erased.removed + erased.damaged, erased.held), (2, 0), "{erased:?}");
    assert_eq!(t.get(sound.key()).await, None);
    erase(&t, "conformance", true).await;
    assert_eq!(t.acquire(&altered).await.attempt(), 1);
}

/// Locks a key for an hour.
async fn hold(t: &Trial, client_key: &str) -> Lease {
    t.lock(&t.key(client_key), &long(t)).await.expect_acquired()
}

/// Erases a scope to the end, and adds up what each step did.
async fn erase(t: &Trial, scope: &str, force: bool) -> Erased {
    let (store, scope) = (t.store(), must("scope", Scope::new(scope)));
    erase_in(&*store, &scope, force).await
}

async fn erase_in(store: &dyn Store, scope: &Scope, force: bool) -> Erased {
    let (mut all, mut after) = (Erased::default(), None);
    for _ in 0..MOST_CALLS {
        let step = must("erase", store.erase(scope, force, after.as_ref()).await);
        all.removed += step.removed;
        all.held += step.held;
        all.damaged += step.damaged;
        after = step.next;
        if after.is_none() {
            return all;
        }
    }
    panic!("the erasure does not end");
}
