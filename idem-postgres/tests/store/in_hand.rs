//! Records that somebody else's transaction has in hand.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, LockAnswer, Store as _};
use idem_postgres::PostgresStore;
use tokio::time::{Instant, sleep};

use crate::support::{RETENTION, claim, config, connect, fingerprint, key, lock, open, value};

/// As long as the application's transaction stays open in these tests.
const OPEN: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_locked_row_holds_up_its_own_key_alone() {
    let config = config().await;
    let store = open(&config).await;
    let held = lock(&store, &key("held"), &claim()).await;
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    let select = format!("SELECT FROM {}.records FOR UPDATE", config.schema);
    assert_eq!(transaction.query(&select, &[]).await.unwrap().len(), 1);
    let completing = tokio::spawn({
        let (store, held) = (store.clone(), held.clone());
        async move { store.complete(&held, value("done"), RETENTION).await }
    });
    let slowest = slowest_of_others(&store, OPEN).await;
    assert!(!completing.is_finished(), "the record is in hand");
    transaction.commit().await.unwrap();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
    assert!(slowest < OPEN / 2, "another key waited {slowest:?}");
}

#[tokio::test]
async fn a_key_that_an_open_transaction_inserted_holds_up_itself_alone() {
    let config = config().await;
    let store = open(&config).await;
    drop(lock(&store, &key("model"), &claim()).await);
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    let insert = format!(
        "INSERT INTO {0}.records SELECT sequence, attempt, expires_at, sweep_at, lease_until, retention, completed_at, step,
             state, waited, $1, owner, fingerprint, body FROM {0}.records",
        config.schema
    );
    let contested = key("contested");
    let inserted = transaction.execute(&insert, &[&&contested.storage_key()[..]]).await.unwrap();
    assert_eq!(inserted, 1);
    // Several, so that those that come while the first was set aside are set aside too.
    let locking: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.lock(&contested, &fingerprint(), &claim()).await })
        })
        .collect();
    let slowest = slowest_of_others(&store, OPEN).await;
    assert!(locking.iter().all(|locking| !locking.is_finished()), "nobody knows yet whose key it is");
    transaction.rollback().await.unwrap();
    let mut acquired = 0;
    for locking in locking {
        match locking.await.unwrap().unwrap() {
            LockAnswer::Acquired(_) => acquired += 1,
            LockAnswer::InProgress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(acquired, 1);
    assert!(slowest < OPEN / 2, "another key waited {slowest:?}");
}

#[tokio::test]
async fn a_record_that_stays_in_hand_times_out_and_says_why() {
    let mut config = config().await;
    config.call_timeout = Duration::from_millis(500);
    let store = open(&config).await;
    let held = lock(&store, &key("held"), &claim()).await;
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    let select = format!("SELECT FROM {}.records FOR UPDATE", config.schema);
    transaction.query(&select, &[]).await.unwrap();
    let error = store.complete(&held, value("done"), RETENTION).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("another transaction"), "{error}");
}

/// `VACUUM FULL`, or a migration of somebody's: nothing goes on meanwhile, all of it does afterwards, and the calls do not
/// take one connection of the server after the other.
#[tokio::test]
async fn a_locked_table_is_waited_for_without_more_connections() {
    let mut config = config().await;
    config.response_timeout = Duration::from_millis(200);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    transaction.batch_execute(&format!("LOCK TABLE {}.records", config.schema)).await.unwrap();
    let completing = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&lease, value("done"), RETENTION).await }
    });
    let locking = tokio::spawn({
        let store = store.clone();
        async move { store.lock(&key("other"), &fingerprint(), &claim()).await }
    });
    sleep(Duration::from_secs(3)).await;
    let waiting = format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{}%'", config.schema);
    let waiting: i64 = connect(&config).await.query_one(&waiting, &[]).await.unwrap().get(0);
    assert!(!completing.is_finished() && !locking.is_finished());
    transaction.commit().await.unwrap();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
    assert!(matches!(locking.await.unwrap().unwrap(), LockAnswer::Acquired(_)));
    // Four of the store's at most, some that are about to be cancelled, and the application's two.
    assert!(waiting <= 12, "{waiting} connections");
}

/// Locks and completes other keys for as long, and gives the longest that one of them took.
async fn slowest_of_others(store: &PostgresStore, time: Duration) -> Duration {
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    for number in 0.. {
        let sent = Instant::now();
        let lease = lock(store, &key(format!("other-{number}")), &claim()).await;
        let effect = store.complete(&lease, value("done"), RETENTION).await.unwrap();
        assert_eq!(effect, Effect::Applied);
        slowest = slowest.max(sent.elapsed());
        if begun.elapsed() > time {
            break;
        }
    }
    slowest
}
