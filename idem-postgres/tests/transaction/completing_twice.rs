//! A transaction in which the key is completed more than once, as by a function that completes and whoever calls it; and
//! savepoints.

use idem_core::{ErrorKind, Store as _, Transacted};

use crate::books::Books;
use crate::support::{claim, key, lock, value};

#[tokio::test]
async fn what_the_transaction_has_completed_itself_is_committed() {
    for behind_a_savepoint in [false, true] {
        let mut books = Books::open().await;
        let lease = lock(&books.store, &key("order"), &claim()).await;
        let payment = books.payment();
        let mut transaction = books.client.transaction().await.unwrap();
        transaction.batch_execute(&payment).await.unwrap();
        if behind_a_savepoint {
            let mut savepoint = transaction.savepoint("step").await.unwrap();
            drop(books.store.complete_in(&mut savepoint, &lease, value("first")).await.unwrap());
            savepoint.commit().await.unwrap();
        } else {
            drop(books.store.complete_in(&mut transaction, &lease, value("first")).await.unwrap());
        }
        let transacted = books.store.complete_and_commit(transaction, &lease, value("second")).await.unwrap();
        assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
        assert!(lease.is_completed());
        assert_eq!(books.count().await, 1);
        let record = books.store.get(&key("order")).await.unwrap().unwrap();
        assert_eq!(record.outcome(), Some(&value("first")));
    }
}

/// It stays open, so the server does not know that the next commit is that of the transaction. Whoever commits does.
#[tokio::test]
async fn behind_a_savepoint_that_was_rolled_back_the_caller_commits() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    for commits in [false, true] {
        let mut transaction = books.client.transaction().await.unwrap();
        let mut savepoint = transaction.savepoint("step").await.unwrap();
        drop(books.store.complete_in(&mut savepoint, &lease, value("first")).await.unwrap());
        savepoint.rollback().await.unwrap();
        if commits {
            let completion =
                books.store.complete_in(&mut transaction, &lease, value("second")).await.unwrap();
            transaction.commit().await.unwrap();
            completion.committed();
        } else {
            let transacted =
                books.store.complete_and_commit(transaction, &lease, value("second")).await.unwrap();
            let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}") };
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    let record = books.store.get(&key("order")).await.unwrap().unwrap();
    assert_eq!(record.outcome(), Some(&value("second")));
}

#[tokio::test]
async fn a_second_completion_behind_a_savepoint_is_not_taken_for_the_end() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut transaction = books.client.transaction().await.unwrap();
    drop(books.store.complete_in(&mut transaction, &lease, value("first")).await.unwrap());
    let savepoint = transaction.savepoint("step").await.unwrap();
    let transacted = books.store.complete_and_commit(savepoint, &lease, value("second")).await.unwrap();
    let Transacted::RolledBack(error) = transacted else { panic!("{transacted:?}") };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(!lease.is_completed());
    transaction.commit().await.unwrap();
    let record = books.store.get(&key("order")).await.unwrap().unwrap();
    assert_eq!(record.outcome(), Some(&value("first")));
}

/// Its number is higher than that of the transaction that sees it.
#[tokio::test]
async fn what_a_younger_transaction_has_completed_is_not_taken_for_ones_own() {
    let mut books = Books::open().await;
    let lease = lock(&books.store, &key("order"), &claim()).await;
    let mut younger = crate::support::connect(&books.config).await;
    let payment = books.payment();
    let transaction = books.client.transaction().await.unwrap();
    transaction.batch_execute(&payment).await.unwrap();
    let committed =
        books.store.complete_and_commit(younger.transaction().await.unwrap(), &lease, value("paid"));
    assert!(matches!(committed.await, Ok(Transacted::Applied)));
    let transacted = books.store.complete_and_commit(transaction, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::AlreadyCompleted), "{transacted:?}");
    assert_eq!(books.count().await, 0);
}
