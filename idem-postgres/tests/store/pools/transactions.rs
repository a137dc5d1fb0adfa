//! The completion in a transaction of the same pool.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, Store as _, Transacted};

use super::application::{Application, Library};
use crate::support::{RETENTION, claim, key, lock, value};

with_each_library!(
    a_completion_in_a_transaction_of_the_same_pool_is_committed_or_not,
    a_pool_of_one_connection_is_enough_for_a_completion_in_a_transaction,
    a_call_beside_a_transaction_that_has_the_only_connection_ends_in_time,
);

async fn a_completion_in_a_transaction_of_the_same_pool_is_committed_or_not(library: Library) {
    let application = Application::with(library, 4).await;
    let store = application.open().await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let provisional = application.complete_and_roll_back(&store, &lease, value("paid")).await.unwrap();
    assert_eq!(provisional.find_out().await.unwrap(), Transacted::RolledBack(()));
    let transacted = application.complete_and_commit(&store, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    assert_eq!(store.get(&key("order")).await.unwrap().unwrap().outcome(), Some(&value("paid")));
}

async fn a_pool_of_one_connection_is_enough_for_a_completion_in_a_transaction(library: Library) {
    let application = Application::with(library, 1).await;
    let store = application.open().await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let transacted = application.complete_and_commit(&store, &lease, value("paid")).await.unwrap();
    assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
    assert_eq!(store.get(&key("order")).await.unwrap().unwrap().outcome(), Some(&value("paid")));
}

async fn a_call_beside_a_transaction_that_has_the_only_connection_ends_in_time(library: Library) {
    let mut application = Application::with(library, 1).await;
    application.config.call_timeout = Duration::from_millis(500);
    let store = application.open().await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let mut held = application.hold().await;
    held.run("BEGIN").await;
    let error = store.complete(&lease, value("done"), RETENTION).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    held.run("ROLLBACK").await;
    drop(held);
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}
