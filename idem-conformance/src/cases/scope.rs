//! Scopes: no tenant can reach the keys of another.

use idem_core::{Key, Scope};

use crate::trial::{ExpectEffect, ExpectLock, Trial, key_in, must, other_fingerprint, value};

pub(super) async fn one_client_key_in_two_scopes_is_two_keys(t: Trial) {
    assert_distinct(&t, &[key_in("alice", "order-1"), key_in("bob", "order-1")]).await;
}

pub(super) async fn shared_scope_is_a_scope_of_its_own(t: Trial) {
    let shared = must("key", Key::new(&Scope::shared(), "order-1"));
    assert_distinct(&t, &[shared, key_in("shared", "order-1"), key_in([0], "order-1")]).await;
}

pub(super) async fn scope_and_client_key_are_not_concatenated(t: Trial) {
    let pairs = [("ab", "c"), ("a", "bc"), ("a:b", "c"), ("a", "b:c"), ("{a}", "bc")];
    let mut keys = Vec::from(pairs.map(|(scope, client_key)| key_in(scope, client_key)));
    keys.push(must("key", Key::new(&Scope::shared(), "abc")));
    assert_distinct(&t, &keys).await;
}

pub(super) async fn longest_and_unusual_keys_are_distinct(t: Trial) {
    let long = "~".repeat(255);
    let keys = [
        key_in([0xFF; 255], &long),
        key_in([0xFF; 254], &long),
        key_in([0xFF; 255], &long[1..]),
        key_in("a\0b\r\n", " "),
        key_in("a\0b\r\n", "  "),
        key_in("a\0b\r", " "),
    ];
    assert_distinct(&t, &keys).await;
}

pub(super) async fn removal_in_one_scope_leaves_the_other(t: Trial) {
    let (alice, bob) = (key_in("alice", "order-1"), key_in("bob", "order-1"));
    t.acquire(&alice).await;
    let lease = t.acquire(&bob).await;
    assert!(t.remove(&alice, true).await);
    t.complete(&lease, value(b"of bob")).await.expect_applied();
    assert_eq!(t.acquire(&alice).await.attempt(), 1);
    assert_eq!(t.lock(&bob, &t.claim()).await.expect_completed().outcome, value(b"of bob"));
}

/// Asserts that all keys are different: locks them all, then completes all but the last, each with its own number.
async fn assert_distinct(t: &Trial, keys: &[Key]) {
    let mut leases = Vec::new();
    for key in keys {
        leases.push(t.acquire(key).await);
    }
    let Some((last, others)) = leases.split_last() else { panic!("there should be keys") };
    for (number, lease) in others.iter().enumerate() {
        let outcome = idem_core::Outcome::Value(vec![number.to_le_bytes()[0]].into());
        t.complete(lease, outcome).await.expect_applied();
    }
    for (number, lease) in others.iter().enumerate() {
        let outcome = t.lock(lease.key(), &t.claim()).await.expect_completed().outcome;
        assert_eq!(outcome, idem_core::Outcome::Value(vec![number.to_le_bytes()[0]].into()));
    }
    t.lock(last.key(), &t.claim()).await.expect_in_progress();
    t.lock_for(last.key(), &other_fingerprint(), &t.claim()).await.expect_mismatch();
}
