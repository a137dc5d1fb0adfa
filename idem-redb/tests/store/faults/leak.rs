//! A closure of `complete_with` leaks a table: redb's only write transaction then never ends, and the store must
//! neither hang nor lose anything.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, Lease, LockAnswer, Outcome, Store};
use idem_redb::{RedbConfig, RedbStore, Transacted};
use redb::{Database, ReadableDatabase, TableDefinition, TableError, WriteTransaction};

use crate::support::call::{
    acquire, assert_replays, complete, complete_keys, config, key, lock, open, shared_config, value,
};
use crate::support::disk::Disk;
use crate::support::workload::clock;

const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");

#[derive(Debug, Clone, Copy)]
enum End {
    Ok,
    Err,
    Panic,
}

#[tokio::test]
async fn a_store_on_its_own_storage_works_on_after_a_leaked_table() {
    for end in [End::Ok, End::Err, End::Panic] {
        let disk = Disk::new();
        let clock = clock();
        let store = open(&disk, config(), &clock).await.unwrap();
        works_on(&store, end).await;
        let store = open(&disk, config(), &clock).await.unwrap();
        assert_replays(&store, 5).await;
    }
}

#[tokio::test]
async fn a_store_on_a_file_works_on_after_a_leaked_table() {
    for quick_repair in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = RedbConfig::new(folder.path().join("payments.idem"));
        config.quick_repair = quick_repair.into();
        let store = RedbStore::open(config.clone()).await.unwrap();
        works_on(&store, End::Err).await;
        assert_replays(&RedbStore::open(config).await.unwrap(), 5).await;
    }
}

/// Completes keys 0 to 4, with a leak in between, and closes the store.
async fn works_on(store: &RedbStore, end: End) {
    complete_keys(store, 3).await;
    let lease = acquire(store, &key(3)).await;
    let leaking = tokio::spawn(leak(store.clone(), lease.clone(), end));
    match (end, leaking.await) {
        (End::Ok, Ok(Err(error))) => assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}"),
        (End::Err, Ok(Ok(Transacted::RolledBack(())))) => {}
        (End::Panic, Err(error)) if error.is_panic() => {}
        other => panic!("{other:?}"),
    }
    // Nothing that the closure wrote is there, and the lease is still held.
    let held = loop {
        match lock(store, &key(3)).await {
            // The store is reopening its database: a caller sends its call again.
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::task::yield_now().await,
            answer => break answer.unwrap(),
        }
    };
    assert!(matches!(held, LockAnswer::InProgress { .. }), "{held:?}");
    let none: Transacted<TableError> = store
        .complete_with(&lease, |txn| {
            assert_eq!(txn.open_table(ROWS)?.remove(1).unwrap().map(|row| row.value()), None);
            Ok(value(3))
        })
        .await
        .unwrap();
    assert!(matches!(none, Transacted::Applied), "{none:?}");
    let lease = acquire(store, &key(4)).await;
    complete(store, &lease, value(4)).await;
    assert_replays(store, 5).await;
    store.compact().await.unwrap();
    store.close().await.unwrap();
}

/// The store cannot reopen a database of the application's own. So its error says what is wrong, and only the first
/// call has to wait for it.
#[tokio::test]
async fn a_leaked_table_in_a_shared_database_is_reported_and_the_store_can_be_closed() {
    let disk = Disk::new();
    let database = database_on(&disk);
    let mut config = shared_config();
    config.call_timeout = Duration::from_millis(100);
    let store = RedbStore::builder(config).with_database(Arc::clone(&database)).await.unwrap();
    complete_keys(&store, 3).await;
    let lease = acquire(&store, &key(3)).await;
    assert_eq!(leak(store.clone(), lease.clone(), End::Err).await.unwrap(), Transacted::RolledBack(()));
    let told = loop {
        let error = store.complete(&lease, value(3), lease.retention()).await.unwrap_err();
        if error.kind() != ErrorKind::Timeout {
            break error;
        }
    };
    assert_eq!(told.kind(), ErrorKind::Unavailable, "{told}");
    assert!(told.to_string().contains("leaked"), "{told}");
    // Completed keys still replay, from the application's database.
    assert_replays(&store, 3).await;

    // Another database is refused: in it the completed keys would run again.
    let empty = store.replace_database(database_on(&Disk::new())).await.unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::Corrupt, "{empty}");
    let other = database_on(&Disk::new());
    let txn = other.begin_write().unwrap();
    txn.open_table(ROWS).unwrap();
    txn.commit().unwrap();
    assert_eq!(store.replace_database(other).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_replays(&store, 3).await;

    // With the same database, opened anew, the store is as it was.
    store.replace_database(database_on(&Disk::holding(disk.bytes()))).await.unwrap();
    assert_replays(&store, 3).await;
    assert_eq!(store.complete(&lease, value(3), lease.retention()).await.unwrap(), Effect::Applied);
    assert_replays(&store, 4).await;
    store.close().await.unwrap();
    assert!(database.begin_read().is_ok());
}

fn database_on(disk: &Disk) -> Arc<Database> {
    Arc::new(Database::builder().create_with_backend(disk.open().unwrap()).unwrap())
}

async fn leak(store: RedbStore, lease: Lease, end: End) -> idem_core::Result<Transacted<()>> {
    let work = move |txn: &WriteTransaction| {
        let mut rows = txn.open_table(ROWS).unwrap();
        rows.insert(1, 1).unwrap();
        std::mem::forget(rows);
        match end {
            End::Ok => Ok(Outcome::Value(Bytes::new())),
            End::Err => Err(()),
            End::Panic => panic!("on purpose: the closure panics, with a table leaked"),
        }
    };
    store.complete_with(&lease, work).await
}
