//! A shared database that the store may reopen with the application's function: it recovers by itself, as the store's
//! own file does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, Error, ErrorKind, Outcome, Result, Store};
use idem_redb::{RedbStore, Transacted};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::support::call::{acquire, assert_replays, complete_keys, config, key, lock, shared_config, value};
use crate::support::disk::{Disk, Failure};
use crate::support::workload::{clock, shared};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

#[tokio::test]
async fn a_shared_database_recovers_from_a_full_disk_by_itself_and_replays_meanwhile() {
    let disk = Disk::new();
    let store = supplied(&disk).await;
    complete_keys(&store, 20).await;
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used + 60));
    let lease = acquire(&store, &key(100)).await;
    for _ in 0..50 {
        let error = book(&store, &lease).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert_replays(&store, 20).await;
    }
    assert_eq!(rows(&store).await, 0);
    assert!(disk.counts().opened > 1, "it was never opened again");

    disk.change_faults(|faults, _| faults.space = None);
    let booked = until_answered(ErrorKind::Full, async || book(&store, &lease).await).await;
    assert!(matches!(booked, Transacted::Applied), "{booked:?}");
    assert_eq!(rows(&store).await, 1);
    assert_replays(&store, 20).await;
}

#[tokio::test]
async fn a_shared_database_recovers_from_an_io_error_by_itself() {
    let disk = Disk::new();
    let store = supplied(&disk).await;
    complete_keys(&store, 3).await;
    let lease = acquire(&store, &key(3)).await;
    let at = disk.counts().calls + 1;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at, for_ever: false }));
    let again = async || store.complete(&lease, value(3), lease.retention()).await;
    assert_eq!(again().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(until_answered(ErrorKind::Unavailable, again).await, Effect::Applied);
    assert_replays(&store, 4).await;
}

/// The application may be slow to let go of the database: the store tries until the file is free.
#[tokio::test]
async fn an_application_that_keeps_the_old_database_only_delays_the_recovery() {
    let disk = Disk::new();
    let store = supplied(&disk).await;
    complete_keys(&store, 3).await;
    let kept = store.database().await.unwrap();
    let lease = acquire(&store, &key(3)).await;
    let at = disk.counts().calls + 1;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at, for_ever: false }));
    let again = async || store.complete(&lease, value(3), lease.retention()).await;
    assert_eq!(again().await.unwrap_err().kind(), ErrorKind::Unavailable);
    for _ in 0..5 {
        assert_eq!(again().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    drop(kept);
    assert_eq!(until_answered(ErrorKind::Unavailable, again).await, Effect::Applied);
    assert_replays(&store, 4).await;
}

/// The store calls the hook once at a time, with pauses, however many callers ask; and a panic of the hook does no
/// harm.
#[tokio::test]
async fn a_hook_that_fails_or_panics_is_called_again_but_not_by_every_caller() {
    let disk = Disk::new();
    let (fails, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (on, fails_now, count) = (disk.clone(), Arc::clone(&fails), Arc::clone(&asked));
    let open = move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        match fails_now.load(Ordering::SeqCst) {
            false => database(&on),
            true if number.is_multiple_of(2) => Err(io::Error::other("not now").into()),
            true => panic!("on purpose: the hook panics"),
        }
    };
    let store = RedbStore::builder(shared_config()).with_database_from(open).await.unwrap();
    complete_keys(&store, 3).await;
    let lease = acquire(&store, &key(3)).await;
    fails.store(true, Ordering::SeqCst);
    let at = disk.counts().calls + 1;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at, for_ever: false }));
    let again = async || store.complete(&lease, value(3), lease.retention()).await;
    let mut refused = 0;
    while asked.load(Ordering::SeqCst) < 6 {
        assert_eq!(again().await.unwrap_err().kind(), ErrorKind::Unavailable);
        refused += 1;
    }
    let before = asked.load(Ordering::SeqCst);
    fails.store(false, Ordering::SeqCst);
    assert_eq!(until_answered(ErrorKind::Unavailable, again).await, Effect::Applied);
    println!("{refused} calls were refused, the hook was called {before} times meanwhile");
    assert_replays(&store, 4).await;
}

/// A hook that opens another database must not make the store start empty.
#[tokio::test]
async fn a_hook_that_opens_an_empty_database_is_reported_as_corrupt() {
    let (disk, empty) = (Disk::new(), Disk::new());
    let (first, on) = (AtomicBool::new(true), (disk.clone(), empty));
    let open = move || database(if first.swap(false, Ordering::SeqCst) { &on.0 } else { &on.1 });
    let store = RedbStore::builder(shared_config()).with_database_from(open).await.unwrap();
    complete_keys(&store, 3).await;
    let lease = acquire(&store, &key(3)).await;
    let at = disk.counts().calls + 1;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at, for_ever: true }));
    let mut told = None;
    for _ in 0..5_000 {
        match store.complete(&lease, value(3), lease.retention()).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            other => {
                told = Some(other.unwrap_err());
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(told.map(|error: Error| error.kind()), Some(ErrorKind::Corrupt));
    assert_eq!(lock(&store, &key(0)).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_hook_that_fails_at_the_start_says_why() {
    let open = || Err::<Arc<Database>, _>(io::Error::other("no such thing"));
    let error = RedbStore::builder("").with_database_from(open).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let source = std::error::Error::source(&error).expect("without a source");
    assert!(source.to_string().contains("no such thing"), "{source}");
}

#[tokio::test]
async fn a_store_with_a_file_of_its_own_does_not_hand_out_its_database() {
    let store = RedbStore::builder(config()).open_backend(Disk::new().opener()).await.unwrap();
    assert_eq!(store.database().await.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

fn database(disk: &Disk) -> std::result::Result<Arc<Database>, redb::DatabaseError> {
    let mut builder = Database::builder();
    builder.set_cache_size(1 << 20);
    builder.create_with_backend(disk.open()?).map(Arc::new)
}

async fn supplied(disk: &Disk) -> RedbStore {
    let on = disk.clone();
    let builder = RedbStore::builder(shared_config()).clock(shared(&clock()));
    builder.with_database_from(move || database(&on)).await.unwrap()
}

/// Writes a row that needs room, and completes the key with it.
async fn book(store: &RedbStore, lease: &idem_core::Lease) -> Result<Transacted<redb::Error>> {
    let work = |txn: &redb::WriteTransaction| {
        txn.open_table(ROWS)?.insert(1, &*vec![7; 4 << 20])?;
        Ok(Outcome::Value(Bytes::from_static(b"booked")))
    };
    match store.complete_with(lease, work).await? {
        // The disk ran full while the closure wrote, and not only at the commit.
        Transacted::RolledBack(redb::Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull => {
            Err(Error::new(ErrorKind::Full, idem_core::error::Operation::Complete, "full in the closure"))
        }
        other => Ok(other),
    }
}

async fn rows(store: &RedbStore) -> usize {
    let database = store.database().await.unwrap();
    match database.begin_read().unwrap().open_table(ROWS) {
        Ok(rows) => rows.iter().unwrap().count(),
        Err(redb::TableError::TableDoesNotExist(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

async fn until_answered<T>(kind: ErrorKind, call: impl AsyncFn() -> Result<T>) -> T {
    for _ in 0..10_000 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), kind, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("still refused");
}
