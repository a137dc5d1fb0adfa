//! A store that is reopened never starts empty: its records are there, or the opening fails.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_core::{Error, ErrorKind, LockAnswer, Store};
use idem_redb::{RedbConfig, RedbStore};
use redb::{Database, TableDefinition};

use crate::support::call::{acquire, assert_replays, complete_keys, config, key, lock, value};
use crate::support::disk::{Disk, Failure};

#[tokio::test]
async fn a_storage_that_comes_back_empty_is_corrupt() {
    let disk = Disk::new();
    let current = Arc::new(Mutex::new(disk.clone()));
    let now = Arc::clone(&current);
    let storage = move || -> io::Result<_> { now.lock().unwrap().open() };
    let store = RedbStore::builder(config()).open_backend(storage).await.unwrap();
    complete_keys(&store, 3).await;
    let lost = Disk::new();
    *current.lock().unwrap() = lost.clone();
    fail_for_ever(&disk);
    let error = until_not_unavailable(&store).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    for number in 0..3 {
        assert_eq!(lock(&store, &key(number)).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.get(&key(number)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // The right storage is back.
    *current.lock().unwrap() = Disk::holding(disk.bytes());
    until_acquired(&store).await;
    assert_replays(&store, 3).await;
}

#[tokio::test]
async fn an_existing_database_without_tables_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    Database::create(&path).unwrap().close().unwrap();
    let before = fs::read(&path).unwrap();
    for create in [true, false] {
        let mut config = RedbConfig::new(&path);
        config.create = create;
        let error = RedbStore::open(config).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible), "{error}");
        assert!(fs::read(&path).unwrap() == before, "changed");
    }
}

/// A database that was not closed can only be recognised by opening it for writing.
#[tokio::test]
async fn an_existing_database_without_tables_left_by_a_crash_is_no_store() {
    let crashed = Disk::new();
    let database = Database::builder().create_with_backend(crashed.open().unwrap()).unwrap();
    database.begin_write().unwrap().commit().unwrap();
    let bytes = crashed.bytes();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    fs::write(&path, bytes).unwrap();
    let error = RedbStore::open(&*path).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible), "{error}");
}

/// Without one of its tables every key in it would look free.
#[tokio::test]
async fn a_store_without_one_of_its_tables_is_corrupt() {
    let sound = Disk::new();
    let store = RedbStore::builder(config()).open_backend(sound.opener()).await.unwrap();
    complete_keys(&store, 3).await;
    acquire(&store, &key(3)).await;
    store.close().await.unwrap();
    for table in ["idem/meta", "idem/locks", "idem/checkpoints", "idem/index", "idem/outcomes"] {
        let disk = Disk::holding(sound.bytes());
        let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
        let txn = database.begin_write().unwrap();
        let deleted = match table {
            "idem/meta" => txn.delete_table(TableDefinition::<&str, u64>::new(table)),
            "idem/locks" | "idem/checkpoints" => {
                txn.delete_table(TableDefinition::<&[u8; 48], &[u8]>::new(table))
            }
            "idem/index" => txn.delete_table(TableDefinition::<&[u8; 24], u128>::new(table)),
            _ => txn.delete_table(TableDefinition::<u128, &[u8]>::new(table)),
        };
        assert!(deleted.unwrap());
        txn.commit().unwrap();
        database.close().unwrap();
        let error = RedbStore::builder(config()).open_backend(disk.opener()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{table}, own: {error}");
        let database = Arc::new(Database::builder().create_with_backend(disk.open().unwrap()).unwrap());
        let error = RedbStore::with_database(database).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{table}, shared: {error}");
    }
}

fn fail_for_ever(disk: &Disk) {
    let at = disk.counts().calls + 1;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at, for_ever: true }));
}

/// Locks until the store answers another error than `Unavailable`.
async fn until_not_unavailable(store: &RedbStore) -> Error {
    for _ in 0..5_000 {
        match lock(store, &key(100)).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            Err(error) => return error,
            Ok(other) => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("unavailable for ever");
}

async fn until_acquired(store: &RedbStore) {
    for _ in 0..5_000 {
        match lock(store, &key(100)).await {
            Ok(LockAnswer::Acquired(lease)) => {
                let released = store.complete(&lease, value(100), lease.retention()).await;
                return released.map(drop).unwrap();
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    panic!("not opened again");
}
