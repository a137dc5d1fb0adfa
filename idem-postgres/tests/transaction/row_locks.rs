//! Others meet the record of a transaction that is open.

use std::time::Duration;

use idem_core::{Claim, LockAnswer, Owner, Store as _, Transacted};
use tokio::time::{sleep, timeout};

use crate::books::Books;
use crate::support::{RETENTION, claim, fingerprint, key, lock, value};

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// The row is the transaction's: nobody takes over, though the lease is over.
#[tokio::test]
async fn who_comes_when_the_lease_is_over_gets_the_transactions_outcome() {
    let mut books = Books::open().await;
    let short =
        Claim { owner: Owner::random().unwrap(), lease: Duration::from_secs(3), retention: RETENTION };
    let lease = lock(&books.store, &key("order"), &short).await;
    let payment = books.payment();
    let mut transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let completion = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    let other = books.store.lock(&key("order"), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(other, LockAnswer::InProgress { .. }), "{other:?}");
    while !lease.remaining().is_zero() {
        sleep(Duration::from_millis(20)).await;
    }
    let store = books.store.clone();
    let taking = tokio::spawn(async move {
        loop {
            // On the server the lease began a moment later.
            match store.lock(&key("order"), &fingerprint(), &claim()).await.unwrap() {
                LockAnswer::InProgress { .. } => sleep(Duration::from_millis(20)).await,
                answer => return answer,
            }
        }
    });
    sleep(Duration::from_millis(300)).await;
    assert!(!taking.is_finished(), "it is not known yet who completes it");
    transaction.commit().await.unwrap();
    completion.committed();
    let LockAnswer::Completed(replay) = taking.await.unwrap() else { panic!() };
    assert_eq!((replay.outcome, replay.token), (value("paid"), lease.token()));
}

#[tokio::test]
async fn who_waits_is_woken_by_the_commit() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let store = books.store.clone();
    let waiting = tokio::spawn(async move { store.settled(&key("order"), LONG).await });
    let noted = format!("SELECT count(*) FROM {}.records WHERE waited", books.config.schema);
    while books.client.query_one(&noted, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let transaction = books.client.transaction().await.unwrap();
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    assert!(timeout(LONG, waiting).await.unwrap().unwrap().unwrap());
}

/// A renewal by the heartbeat, or a note of one who waits, locks the row for a moment.
#[tokio::test]
async fn a_completion_waits_for_whoever_has_locked_the_row() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut other = crate::support::connect(&books.config).await;
    let holding = other.transaction().await.unwrap();
    let touch = format!("UPDATE {}.records SET waited = true", books.config.schema);
    assert_eq!(holding.execute(&touch, &[]).await.unwrap(), 1);
    let transaction = books.client.transaction().await.unwrap();
    let (transacted, ()) =
        tokio::join!(books.store.complete_and_commit(transaction, &lease, value("paid")), async {
            sleep(Duration::from_millis(300)).await;
            holding.commit().await.unwrap();
        });
    assert!(matches!(transacted, Ok(Transacted::Applied)), "{transacted:?}");
}

#[tokio::test]
async fn a_row_that_stays_locked_makes_a_completion_fail_and_commits_nothing() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut other = crate::support::connect(&books.config).await;
    let holding = other.transaction().await.unwrap();
    let select = format!("SELECT FROM {}.records FOR UPDATE", books.config.schema);
    holding.query(&select, &[]).await.unwrap();
    let payment = books.payment();
    let transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}") };
    assert!(error.kind().is_transient(), "{error}");
    assert_eq!(books.count().await, 0);
    assert!(!lease.is_lost());
}
