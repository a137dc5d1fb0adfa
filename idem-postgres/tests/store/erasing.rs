//! Erasing a scope: what it waits for and what not, whom it wakes, and that it can be done in steps of any size.

use std::time::Duration;

use idem_core::scan::{Cursor, Erased, Scan};
use idem_core::{Effect, ErrorKind, Key, Outcome, Scope, Store};
use idem_postgres::PostgresStore;

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
    // The transaction is still open: whoever waits for it gets an error, as the next call does.
    let (erased, _) = erase(&store, false).await;
    assert_eq!((erased.removed, erased.held), (1, 1));
    let error = store.erase(&scope(), true, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    transaction.commit().await.unwrap();
    let (erased, _) = erase(&store, true).await;
    assert_eq!((erased.removed, erased.held), (1, 0));
}

#[tokio::test]
async fn those_who_wait_for_a_lease_are_told_that_it_was_erased() {
    let config = config().await;
    let (store, admin, schema) = (open(&config).await, connect(&config).await, &config.schema);
    // A waiter looks by itself as well, so it does not show whether it was told.
    let note_what_is_told = format!(
        "CREATE TABLE {schema}.told (key bytea);
         CREATE OR REPLACE FUNCTION {schema}.notify(p_keys bytea[]) RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO {schema}.told SELECT unnest(p_keys); END $$"
    );
    admin.batch_execute(&note_what_is_told).await.unwrap();
    let held = lock(&store, &key("held"), &claim()).await;
    drop(lock(&store, &key("nobody waits for this"), &claim()).await);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key("held"), Duration::from_mins(1)).await.unwrap() }
    });
    let noted = format!("SELECT count(*) FROM {schema}.records WHERE waited");
    while admin.query_one(&noted, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!waiting.is_finished(), "its lease is live");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(erase(&store, true).await.0.removed, 2);
    assert!(waiting.await.unwrap());
    let told = admin.query(&format!("SELECT key FROM {schema}.told"), &[]).await.unwrap();
    let told: Vec<Vec<u8>> = told.iter().map(|row| row.get(0)).collect();
    assert_eq!(told, [held.key().storage_key().to_vec()]);
    assert!(matches!(store.complete(&held, value("late"), RETENTION).await.unwrap(), Effect::Lost(_)));
}

/// The fence does not look at the clock, so that it has to be told of removals.
#[tokio::test]
async fn a_key_that_was_erased_gets_a_higher_sequence() {
    let config = config().await;
    let store = open(&config).await;
    let numbers =
        format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}.released", config.schema);
    let admin = connect(&config).await;
    let mut sequence = 0;
    let mut released = admin.query_one(&numbers, &[]).await.unwrap().get::<_, i64>(0);
    for _ in 0..20 {
        let lease = lock(&store, &key("order"), &claim()).await;
        assert!(lease.token().sequence > sequence);
        sequence = lease.token().sequence;
        assert_eq!(erase(&store, true).await.0.removed, 1);
        let now = admin.query_one(&numbers, &[]).await.unwrap().get::<_, i64>(0);
        assert!(now > released, "the removal was not counted");
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
