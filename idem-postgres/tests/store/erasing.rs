//! Erasing a scope: what it waits for and what not, whom it wakes, and that it can be done in steps of any size.

use std::time::Duration;

use idem_core::scan::{Cursor, Erased, Scan};
use idem_core::{Effect, ErrorKind, Key, Outcome, Scope, Store};
use idem_postgres::PostgresStore;
use tokio::time::Instant;

use crate::support::{RETENTION, claim, config, connect, key, lock, open, value};

/// That of [`key`].
fn scope() -> Scope {
    Scope::shared()
}

async fn erase(store: &PostgresStore, force: bool) -> (Erased, usize) {
    let (mut all, mut after, mut steps) = (Erased::default(), None::<Cursor>, 0);
    loop {
        let step = store.erase(&scope(), force, after.as_ref()).await.unwrap();
        steps += 1;
        all.removed += step.removed;
        all.held += step.held;
        after = step.next;
        if after.is_none() {
            return (all, steps);
        }
    }
}

async fn complete(store: &PostgresStore, key: &Key, outcome: Outcome) {
    let lease = lock(store, key, &claim()).await;
    assert_eq!(store.complete(&lease, outcome, RETENTION).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn a_row_that_a_transaction_has_locked_stays_without_force_and_is_waited_for_with_it() {
    let config = config().await;
    let store = open(&config).await;
    for name in ["locked", "free"] {
        complete(&store, &key(name), value("done")).await;
    }
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    let select = format!("SELECT FROM {}.records WHERE key = $1 FOR UPDATE", config.schema);
    transaction.query(&select, &[&&key("locked").storage_key()[..]]).await.unwrap();
    let begun = Instant::now();
    let (erased, _) = erase(&store, false).await;
    assert!(begun.elapsed() < Duration::from_millis(400), "it waited for the transaction");
    assert_eq!((erased.removed, erased.held), (1, 1));
    let error = store.erase(&scope(), true, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    transaction.commit().await.unwrap();
    let (erased, _) = erase(&store, true).await;
    assert_eq!((erased.removed, erased.held), (1, 0));
}

#[tokio::test]
async fn those_who_wait_for_a_lease_are_told_that_it_was_erased() {
    let store = open(&config().await).await;
    let held = lock(&store, &key("held"), &claim()).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            let begun = Instant::now();
            (store.settled(&key("held"), Duration::from_secs(20)).await.unwrap(), begun.elapsed())
        }
    });
    // Until the wait is noted in the record, nobody has to be told.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (erased, _) = erase(&store, true).await;
    assert_eq!(erased.removed, 1);
    let (settled, waited) = waiting.await.unwrap();
    assert!(settled && waited < Duration::from_secs(5), "it waited {waited:?}");
    assert!(matches!(store.complete(&held, value("late"), RETENTION).await.unwrap(), Effect::Lost(_)));
}

/// The fence does not look at the clock, so that it has to be told of removals.
#[tokio::test]
async fn a_key_that_was_erased_gets_a_higher_sequence() {
    let config = config().await;
    let store = open(&config).await;
    let numbers = format!("SELECT last_value FROM {}.released", config.schema);
    let admin = connect(&config).await;
    let mut sequence = 0;
    let mut released = admin.query_one(&numbers, &[]).await.unwrap().get::<_, i64>(0);
    for _ in 0..20 {
        let lease = lock(&store, &key("order"), &claim()).await;
        assert!(lease.token().sequence > sequence);
        sequence = lease.token().sequence;
        assert_eq!(erase(&store, true).await.0.removed, 1);
        let now = admin.query_one(&numbers, &[]).await.unwrap().get::<_, i64>(0);
        assert!(now > released || released == 1, "the removal was not counted");
        released = now;
    }
}

#[tokio::test]
async fn large_records_go_in_smaller_steps() {
    const OUTCOME: usize = 4 << 20;
    let mut config = config().await;
    config.max_outcome = OUTCOME as u64;
    let store = open(&config).await;
    for number in 0..20 {
        complete(&store, &key(format!("large-{number}")), Outcome::Value(vec![7; OUTCOME].into())).await;
    }
    // Steps of 16 MiB, which sixteen smaller records do not reach.
    let (erased, steps) = erase(&store, false).await;
    assert_eq!((erased.removed, steps), (20, 5));
    assert!(store.scan(&Scan::all(), None).await.unwrap().entries.is_empty());
}
