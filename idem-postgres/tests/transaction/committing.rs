//! Commits whose answer is lost.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, LockAnswer, Store as _, Transacted};
use idem_servers::postgres::{Pair, Server};
use tokio::time::{sleep, timeout};

use crate::books::{Books, lock_in};
use crate::support::{claim, config_of, connect, fingerprint, key, lock, value, wait_for_standby};

#[tokio::test]
async fn a_connection_that_ends_before_the_commit_has_rolled_back() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let payment = books.payment();
    let mut transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let completion = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1";
    let completing = format!("%{}%.complete_one%", books.config.schema);
    let other = connect(&books.config).await;
    assert_eq!(other.query(end, &[&completing]).await.unwrap().len(), 1);
    transaction.commit().await.unwrap_err();
    assert_eq!(completion.find_out().await.unwrap(), Transacted::RolledBack(()));
    assert!(!lease.is_lost() && !lease.is_completed());
    let mut again = connect(&books.config).await;
    let transaction = again.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    assert_eq!(books.count().await, 1);
}

/// The commit stands on the server, waits for a standby, and its connection is ended.
#[tokio::test]
async fn a_connection_that_ends_behind_the_commit_has_committed() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_secs(3);
    let mut books = Books::of(config).await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let payment = books.payment();
    let other = connect(&books.config).await;
    wait_for_standby(&books.config, "nobody").await;
    let mut transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let completion = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    let ending = async {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE wait_event = 'SyncRep' AND query = 'COMMIT'";
        while other.query_one(end, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let (committed, ()) = tokio::join!(transaction.commit(), ending);
    committed.unwrap_err();
    // It stands, but its standby does not have it.
    let error = completion.find_out().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    wait_for_standby(&books.config, "").await;
    assert_eq!(completion.find_out().await.unwrap(), Transacted::Applied);
    assert!(lease.is_completed());
    assert_eq!(books.count().await, 1);
}

/// The same of a transaction that also locked, found out by whoever waited for it all the time.
#[tokio::test]
async fn a_commit_that_also_locked_is_found_only_once_its_standbys_have_it() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_secs(3);
    let mut books = Books::of(config).await;
    let other = connect(&books.config).await;
    let mut transaction = books.client.transaction().await.unwrap();
    let lease = lock_in(&books.store, &mut transaction).await;
    let completion = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    let committing = async {
        // The renewal has found nothing.
        let held_up = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'idem' AND query LIKE '%.lock%' AND wait_event_type = 'Lock'";
        while other.query_one(held_up, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            sleep(Duration::from_millis(2)).await;
        }
        wait_for_standby(&books.config, "nobody").await;
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE wait_event = 'SyncRep' AND query = 'COMMIT'";
        tokio::join!(transaction.commit(), async {
            while other.query_one(end, &[]).await.unwrap().get::<_, i64>(0) == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .0
    };
    let both = async { tokio::join!(completion.find_out(), committing) };
    let (found, committed) = timeout(Duration::from_secs(30), both).await.unwrap();
    committed.unwrap_err();
    let error = found.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    wait_for_standby(&books.config, "").await;
    assert_eq!(completion.find_out().await.unwrap(), Transacted::Applied);
    assert!(lease.is_completed());
}

/// Here the record itself is the transaction's, so that nobody else sees it before the commit.
#[tokio::test]
async fn the_end_of_a_transaction_that_also_locked_is_found_out() {
    let mut books = Books::open().await;
    let impatient = books.impatient().await;
    let payment = books.payment();
    for commits in [false, true] {
        let mut transaction = books.client.transaction().await.unwrap();
        let lease = lock_in(&impatient, &mut transaction).await;
        transaction.batch_execute(&payment).await.unwrap();
        let completion = impatient.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
        let error = completion.find_out().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "the transaction is open: {error}");
        if commits {
            transaction.commit().await.unwrap();
            assert_eq!(completion.find_out().await.unwrap(), Transacted::Applied);
            assert!(lease.is_completed());
        } else {
            transaction.rollback().await.unwrap();
            let found = completion.find_out().await.unwrap();
            assert!(matches!(found, Transacted::Lost(_)), "{found:?}");
            // Nothing is in the way of another attempt, not even a lock by which an earlier call wanted to find out.
            let next = lock(&books.store, &key("order"), &claim()).await;
            assert_eq!(books.store.release(&next).await.unwrap(), Effect::Applied);
        }
    }
    assert_eq!(books.count().await, 1);
}

/// The application's session does not wait for standbys, and its library says success.
#[tokio::test]
async fn with_acks_a_commit_is_applied_only_once_its_standbys_have_it() {
    let pair = Pair::start().await;
    let mut config = config_of(pair.primary().node());
    (config.acks, config.call_timeout) = (1, Duration::from_secs(3));
    let mut books = Books::of(config).await;
    let payment = books.payment();
    for (name, is_there) in [("order", true), ("late order", false)] {
        let lease = lock(&books.store, &key(name), &claim()).await;
        let transaction = books.client.transaction().await.unwrap();
        transaction.batch_execute("SET LOCAL synchronous_commit = local").await.unwrap();
        transaction.batch_execute(&payment).await.unwrap();
        if !is_there {
            pair.standby().stop();
        }
        let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await;
        if is_there {
            assert!(matches!(transacted, Ok(Transacted::Applied)), "{transacted:?}");
            assert!(lease.is_completed());
        } else {
            assert_eq!(transacted.unwrap_err().kind(), ErrorKind::Timeout);
            assert!(!lease.is_completed());
            // Nor is it answered to whoever finds it there.
            let again = books.client.transaction().await.unwrap();
            let again = books.store.complete_and_commit(again, &lease, value("paid")).await.unwrap();
            let Transacted::RolledBack(error) = again else { panic!("{again:?}") };
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert!(!lease.is_completed());
        }
    }
    pair.standby().cont();
    let replayed = async {
        loop {
            match books.store.lock(&key("late order"), &fingerprint(), &claim()).await {
                Ok(LockAnswer::Completed(_)) => return,
                other => assert!(other.is_err(), "{other:?}"),
            }
        }
    };
    timeout(Duration::from_secs(30), replayed).await.unwrap();
    assert_eq!(books.count().await, 2);
}
