//! A database of the application's own: its rows and a completion are committed together, or neither is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Effect, ErrorKind, Execution, LockAnswer, LostReason, Outcome, Policy, Store, StoreExt};
use idem_redb::{RedbStore, RedbStoreExt, Transacted};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use crate::support::call::{
    acquire, assert_replays, complete, config, key, lock, new_database, replay, shared_config, value,
};
use crate::support::disk::{Disk, Failure};
use crate::support::workload::{LEASE, clock, fingerprint, shared};

const BALANCES: TableDefinition<'_, &str, u64> = TableDefinition::new("balances");

#[tokio::test]
async fn rows_and_completion_are_committed_together() {
    let (database, store, _) = sharing().await;
    let lease = acquire(&store, &key(0)).await;
    assert_eq!(credit(&store, &lease).await, Transacted::Applied);
    assert_eq!(balance(&database), 100);
    assert_eq!(replay(&store, &key(0)).await, value(0));
    // A caller whose answer was lost sends the same completion again: nothing is credited twice.
    assert_eq!(credit(&store, &lease).await, Transacted::AlreadyCompleted);
    assert_eq!(balance(&database), 100);
    assert!(lease.is_completed());
}

/// A completion without the closure is not taken for the closure's own.
#[tokio::test]
async fn a_closure_is_not_run_for_a_key_that_was_completed_without_it() {
    let (database, store, _) = sharing().await;
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(7)).await;
    assert_eq!(credit(&store, &lease).await, Transacted::AlreadyCompleted);
    assert_eq!(balance(&database), 0);
    // The record shows which completion it was.
    assert_eq!(replay(&store, &key(0)).await, value(7));
}

#[tokio::test]
async fn an_error_of_the_closure_undoes_its_rows_and_keeps_the_lease() {
    let (database, store, _) = sharing().await;
    let lease = acquire(&store, &key(0)).await;
    let failed: Transacted<&str> = store
        .complete_with(&lease, |txn| {
            add(txn);
            Err("no funds")
        })
        .await
        .unwrap();
    assert_eq!(failed, Transacted::RolledBack("no funds"));
    assert_eq!(balance(&database), 0);
    assert!(matches!(lock(&store, &key(0)).await.unwrap(), LockAnswer::InProgress { .. }));
    assert_eq!(credit(&store, &lease).await, Transacted::Applied);
    assert_eq!(balance(&database), 100);
}

#[tokio::test]
async fn a_panic_of_the_closure_undoes_its_rows_and_leaves_the_store_alive() {
    let (database, store, _) = sharing().await;
    let lease = acquire(&store, &key(0)).await;
    let (panicking, its_lease) = (store.clone(), lease.clone());
    let caller = tokio::spawn(async move {
        panicking
            .complete_with(&its_lease, |txn| -> Result<Outcome, ()> {
                let mut balances = txn.open_table(BALANCES).unwrap();
                balances.insert("alice", 100).unwrap();
                panic!("on purpose: the closure panics, with a table open")
            })
            .await
    });
    assert!(caller.await.unwrap_err().is_panic(), "the panic is the caller's");
    assert_eq!(balance(&database), 0);
    assert!(matches!(lock(&store, &key(0)).await.unwrap(), LockAnswer::InProgress { .. }));
    assert_eq!(credit(&store, &lease).await, Transacted::Applied);
    let other = acquire(&store, &key(1)).await;
    complete(&store, &other, value(1)).await;
    assert_eq!(balance(&database), 100);
}

#[tokio::test]
async fn a_lost_lease_is_refused_as_a_whole() {
    let (database, store, clock) = sharing().await;
    let lease = acquire(&store, &key(0)).await;
    clock.advance(LEASE);
    let successor = acquire(&store, &key(0)).await;
    let ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ran);
    let refused: Transacted<()> = store
        .complete_with(&lease, move |txn| {
            seen.store(true, Ordering::SeqCst);
            add(txn);
            Ok(value(0))
        })
        .await
        .unwrap();
    assert_eq!(refused, Transacted::Lost(LostReason::Superseded));
    assert!(!ran.load(Ordering::SeqCst), "the closure ran under a lost lease");
    assert_eq!(balance(&database), 0);
    assert_eq!(credit(&store, &successor).await, Transacted::Applied);
    assert_eq!(balance(&database), 100);
}

#[tokio::test]
async fn an_outcome_too_large_undoes_the_rows() {
    let database = new_database();
    let mut config = shared_config();
    config.max_outcome = 1_000;
    let store = RedbStore::builder(config).with_database(Arc::clone(&database)).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    let large = |txn: &WriteTransaction| -> Result<Outcome, ()> {
        add(txn);
        Ok(Outcome::Value(Bytes::from(vec![0; 1_001])))
    };
    let error = store.complete_with(&lease, large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(balance(&database), 0);
    assert_eq!(credit(&store, &lease).await, Transacted::Applied);
}

/// redb has one write transaction at a time, and the application holds it: the call ends in time instead of waiting for
/// ever.
#[tokio::test]
async fn a_call_inside_the_applications_own_transaction_times_out() {
    let database = new_database();
    let mut config = shared_config();
    config.call_timeout = Duration::from_millis(100);
    let store = RedbStore::builder(config).with_database(Arc::clone(&database)).await.unwrap();
    let lease = acquire(&store, &key(0)).await;

    let own = database.begin_write().unwrap();
    add(&own);
    let error = store.complete(&lease, value(0), lease.retention()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let error = lock(&store, &key(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    drop(own);

    // Resent, as `Timeout` asks for.
    let applied = async || store.complete(&lease, value(0), lease.retention()).await;
    assert_eq!(answered(applied).await, Effect::Applied);
    assert_eq!(replay(&store, &key(0)).await, value(0));
    // The lock whose caller gave up was not granted to anyone.
    let free = answered(async || lock(&store, &key(1)).await).await;
    assert!(matches!(free, LockAnswer::Acquired(_)), "{free:?}");
    assert_eq!(balance(&database), 0);
}

#[tokio::test]
async fn complete_with_is_reached_from_inside_execute_on_any_store() {
    let (database, store, _) = sharing().await;
    let store: Arc<dyn Store> = Arc::new(store);
    let policy = Policy::new(LEASE, Duration::from_hours(24));
    for round in 0..3 {
        let inner = Arc::clone(&store);
        let work = |lease| async move {
            let redb = inner.as_redb().ok_or("no redb store")?;
            assert_eq!(credit(redb, &lease).await, Transacted::Applied);
            Ok::<_, &str>(Outcome::Value(Bytes::from_static(b"not what is on record")))
        };
        match store.execute_outcome(&key(0), &fingerprint(), &policy, work).await.unwrap() {
            Execution::Executed(outcome) if round == 0 => assert_eq!(outcome, value(0)),
            Execution::Replayed(outcome) if round > 0 => assert_eq!(outcome, value(0)),
            other => panic!("round {round}: {other:?}"),
        }
        assert_eq!(balance(&database), 100, "round {round}");
    }
}

/// Only their number in the table of outcomes tells them apart, so both ways to complete must raise it.
#[tokio::test]
async fn outcomes_of_one_instant_do_not_overwrite_one_another() {
    let (_, store, _) = sharing().await;
    for number in 0..20 {
        let lease = acquire(&store, &key(number)).await;
        if number % 2 == 0 {
            let outcome = value(number);
            let applied: Transacted<()> = store.complete_with(&lease, |_| Ok(outcome)).await.unwrap();
            assert_eq!(applied, Transacted::Applied);
        } else {
            complete(&store, &lease, value(number)).await;
        }
    }
    assert_replays(&store, 20).await;
}

/// The store cannot reopen a database that is not its own.
#[tokio::test]
async fn after_an_io_error_the_application_supplies_its_database_anew() {
    let disk = Disk::new();
    let database = || Arc::new(Database::builder().create_with_backend(disk.open().unwrap()).unwrap());
    let store =
        RedbStore::builder(shared_config()).clock(shared(&clock())).with_database(database()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    let lease = acquire(&store, &key(1)).await;
    let fails_at = disk.counts().calls + 1;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at: fails_at, for_ever: false }));
    for _ in 0..10 {
        let error = store.complete(&lease, value(1), lease.retention()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    store.replace_database(database()).await.unwrap();
    complete(&store, &lease, value(1)).await;
    assert_replays(&store, 2).await;
}

#[tokio::test]
async fn a_store_with_a_file_of_its_own_refuses_another_database() {
    let disk = Disk::new();
    let store = RedbStore::builder(config()).open_backend(disk.opener()).await.unwrap();
    let error = store.replace_database(new_database()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

/// Closing the store does not close the application's database.
#[tokio::test]
async fn the_database_outlives_the_store() {
    let (database, store, _) = sharing().await;
    let lease = acquire(&store, &key(0)).await;
    assert_eq!(credit(&store, &lease).await, Transacted::Applied);
    store.close().await.unwrap();
    let own = database.begin_write().unwrap();
    add(&own);
    own.commit().unwrap();
    assert_eq!(balance(&database), 200);
    let store = RedbStore::with_database(database).await.unwrap();
    assert_eq!(replay(&store, &key(0)).await, value(0));
}

async fn sharing() -> (Arc<Database>, RedbStore, ManualClock) {
    let (database, clock) = (new_database(), clock());
    let builder = RedbStore::builder(shared_config()).clock(shared(&clock));
    let store = builder.with_database(Arc::clone(&database)).await.unwrap();
    (database, store, clock)
}

/// Credits Alice with 100 and completes with [`value`] 0, in one commit.
async fn credit(store: &RedbStore, lease: &idem_core::Lease) -> Transacted<()> {
    let work = |txn: &WriteTransaction| {
        add(txn);
        Ok(value(0))
    };
    store.complete_with(lease, work).await.unwrap()
}

fn add(txn: &WriteTransaction) {
    let mut balances = txn.open_table(BALANCES).unwrap();
    let before = balances.get("alice").unwrap().map_or(0, |balance| balance.value());
    balances.insert("alice", before + 100).unwrap();
}

fn balance(database: &Database) -> u64 {
    match database.begin_read().unwrap().open_table(BALANCES) {
        Ok(balances) => balances.get("alice").unwrap().map_or(0, |balance| balance.value()),
        Err(TableError::TableDoesNotExist(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

/// Sends a call again until it does not time out.
async fn answered<T>(call: impl AsyncFn() -> idem_core::Result<T>) -> T {
    for _ in 0..100 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
        }
    }
    panic!("still no answer");
}
