//! What is found out about a transaction whose commit has no answer, where its record is not what it seems.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Effect, ErrorKind, Owner, Store as _, Transacted};
use tokio::time::sleep;

use crate::books::{Books, lock_in};
use crate::support::{LEASE, claim, key, lock, value};

/// Leaves a record that `lock_in` takes over: of a lease that is over, or of one that was released with a checkpoint.
async fn leave_behind(books: &Books, released: bool) {
    let before = lock(&books.store, &key("order"), &claim()).await;
    if released {
        let saved = books.store.checkpoint(&before, 1, Bytes::from_static(b"half"), LEASE).await.unwrap();
        assert_eq!(saved, Effect::Applied);
        assert_eq!(books.store.release(&before).await.unwrap(), Effect::Applied);
    } else {
        let over = format!("UPDATE {}.records SET lease_until = 1", books.config.schema);
        books.client.batch_execute(&over).await.unwrap();
    }
}

/// While the transaction is open, others see the record of the attempt before it.
#[tokio::test]
async fn a_transaction_that_took_over_is_not_taken_for_a_superseded_one() {
    for (released, commits) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut books = Books::open().await;
        leave_behind(&books, released).await;
        let (store, payment) = (books.impatient().await, books.payment());
        let mut transaction = books.client.transaction().await.unwrap();
        let lease = lock_in(&store, &mut transaction).await;
        assert_eq!(lease.attempt(), 2);
        transaction.batch_execute(&payment).await.unwrap();
        let completion = store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
        let found = completion.find_out().await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        if commits {
            transaction.commit().await.unwrap();
            assert_eq!(completion.find_out().await.unwrap(), Transacted::Applied);
            assert!(lease.is_completed());
        } else {
            transaction.rollback().await.unwrap();
            let found = completion.find_out().await.unwrap();
            assert!(matches!(found, Transacted::Lost(_)), "{found:?}");
        }
        assert_eq!(books.count().await, i64::from(commits));
    }
}

/// What was not committed yet is not lost.
#[tokio::test]
async fn to_ask_about_an_open_transaction_does_not_tell_its_lease_that_it_is_lost() {
    let mut books = Books::open().await;
    let store = books.impatient().await;
    let mut transaction = books.client.transaction().await.unwrap();
    let lease = lock_in(&store, &mut transaction).await;
    let completion = store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    completion.find_out().await.unwrap_err();
    assert!(!lease.is_lost());
    transaction.commit().await.unwrap();
    assert_eq!(completion.find_out().await.unwrap(), Transacted::Applied);
    assert!(lease.is_completed() && !lease.is_lost());
}

/// Its record is gone, or the key was locked anew: neither says that it was not committed.
#[tokio::test]
async fn nothing_is_said_of_a_transaction_once_its_outcome_is_forgotten() {
    let short = Duration::from_millis(200);
    for locked_anew in [false, true] {
        let mut books = Books::open().await;
        let claim = Claim { owner: Owner::random().unwrap(), lease: short, retention: short };
        let lease = lock(&books.store, &key("order"), &claim).await;
        let payment = books.payment();
        let mut transaction = books.client.transaction().await.unwrap();
        transaction.batch_execute(&payment).await.unwrap();
        let completion = books.store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
        transaction.commit().await.unwrap();
        while books.store.get(&key("order")).await.unwrap().is_some() {
            sleep(Duration::from_millis(20)).await;
        }
        if locked_anew {
            drop(lock(&books.store, &key("order"), &crate::support::claim()).await);
        }
        let found = completion.find_out().await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(books.count().await, 1);
    }
}

/// Why the server refused the commit is not hidden by the loss of the lock, which was the transaction's own.
#[tokio::test]
async fn a_refused_commit_of_a_transaction_that_also_locked_says_why() {
    let mut books = Books::open().await;
    let unique = format!("ALTER TABLE {} ADD UNIQUE (cents) DEFERRABLE INITIALLY DEFERRED", books.table());
    books.client.batch_execute(&unique).await.unwrap();
    let payment = books.payment();
    books.client.batch_execute(&payment).await.unwrap();
    let mut transaction = books.client.transaction().await.unwrap();
    let lease = lock_in(&books.store, &mut transaction).await;
    transaction.batch_execute(&payment).await.unwrap();
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}") };
    assert!(error.to_string().contains("23505"), "{error}");
    assert!(!error.kind().is_transient(), "the same again would fail again: {error}");
    assert_eq!(books.store.get(&key("order")).await.unwrap(), None);
}
