//! A file that was removed or replaced under a running store: nothing is acknowledged on it any more.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use idem_core::{ErrorKind, LockAnswer, Result, Store};
use idem_redb::{RedbStore, Transacted};
use redb::{TableDefinition, WriteTransaction};
use tempfile::TempDir;

use crate::support::call::{acquire, assert_replays, complete, complete_keys, key, lock, replay, value};

/// The ways in which a path can stop leading to the open file.
const LOSSES: [fn(&Path); 3] = [
    |path| fs::remove_file(path).unwrap(),
    |path| fs::rename(path, path.with_extension("away")).unwrap(),
    |path| {
        let other = path.with_extension("other");
        fs::copy(path, &other).unwrap();
        fs::rename(other, path).unwrap();
    },
];

#[tokio::test]
async fn nothing_is_acknowledged_on_a_file_that_lost_its_name() {
    for lose in LOSSES {
        let (_folder, path, store) = store().await;
        let lease = acquire(&store, &key(3)).await;
        lose(&path);
        // The very next write notices it.
        assert_lost(store.complete(&lease, value(3), lease.retention()).await);
        assert_lost(lock(&store, &key(4)).await);
        assert_lost(store.get(&key(0)).await);
        let transacted: Result<Transacted<()>> = store.complete_with(&lease, |_| Ok(value(3))).await;
        assert_lost(transacted);
        assert_lost(store.compact().await);
    }
}

/// Closing does not write to it either: its bytes stay as they are.
#[tokio::test]
async fn a_file_that_lost_its_name_is_not_written_to_any_more() {
    let (_folder, path, store) = store().await;
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    assert_lost(lock(&store, &key(4)).await);
    let before = fs::read(&away).unwrap();
    assert_lost(store.compact().await);
    store.close().await.unwrap();
    assert!(fs::read(&away).unwrap() == before, "it was written to");
    // All that was acknowledged is in it.
    let store = RedbStore::open(&*away).await.unwrap();
    assert_replays(&store, 3).await;
}

#[tokio::test]
async fn a_store_that_only_reads_notices_the_lost_name_soon() {
    for lose in LOSSES {
        let (_folder, path, store) = store().await;
        lose(&path);
        let mut replays = 0;
        while let Ok(answer) = lock(&store, &key(0)).await {
            assert!(matches!(answer, LockAnswer::Completed(_)), "{answer:?}");
            replays += 1;
            assert!(replays < 1_000, "the store never noticed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_lost(lock(&store, &key(0)).await);
    }
}

/// The store refuses to go on even when the name leads to its file again: another store may have used the name
/// meanwhile.
#[tokio::test]
async fn a_file_that_comes_back_is_not_used_again_without_a_reopening() {
    let (_folder, path, store) = store().await;
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    assert_lost(lock(&store, &key(4)).await);
    fs::rename(&away, &path).unwrap();
    assert_lost(lock(&store, &key(4)).await);
    store.close().await.unwrap();
    let store = RedbStore::open(&*path).await.unwrap();
    assert_replays(&store, 3).await;
}

/// The second store has the file of that name, and the first one grants no key any more.
#[tokio::test]
async fn a_second_store_on_the_name_is_the_only_one_that_grants_keys() {
    let (_folder, path, first) = store().await;
    fs::remove_file(&path).unwrap();
    let second = RedbStore::open(&*path).await.unwrap();
    let lease = acquire(&second, &key(7)).await;
    assert_lost(lock(&first, &key(7)).await);
    complete(&second, &lease, value(7)).await;
    assert_eq!(replay(&second, &key(7)).await, value(7));
}

/// The name leads to another file when the store has to reopen its own.
#[tokio::test]
async fn a_file_that_was_replaced_is_not_opened_instead() {
    const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");
    let (folder, path, store) = store().await;
    let other = folder.path().join("other.idem");
    let theirs = RedbStore::open(&*other).await.unwrap();
    let lease = acquire(&theirs, &key(0)).await;
    complete(&theirs, &lease, value(100)).await;
    theirs.close().await.unwrap();

    let lease = acquire(&store, &key(3)).await;
    let work = move |txn: &WriteTransaction| {
        std::mem::forget(txn.open_table(ROWS).unwrap());
        fs::rename(&other, &path).unwrap();
        Err(())
    };
    let leaked: Transacted<()> = store.complete_with(&lease, work).await.unwrap();
    assert_eq!(leaked, Transacted::RolledBack(()));
    let mut refused = 0;
    while refused < 200 {
        match lock(&store, &key(0)).await {
            Ok(LockAnswer::Completed(replay)) => assert_eq!(replay.outcome, value(0)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Closed), "{error}");
                refused += 1;
            }
        }
    }
    assert_lost(lock(&store, &key(0)).await);
}

/// The store's path is the link, and its file is the target.
#[tokio::test]
async fn a_link_that_is_pointed_elsewhere_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (link, target) = (folder.path().join("link.idem"), folder.path().join("target.idem"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let store = RedbStore::open(&*link).await.unwrap();
    complete_keys(&store, 3).await;
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(folder.path().join("new.idem"), &link).unwrap();
    assert_lost(lock(&store, &key(4)).await);
}

async fn store() -> (TempDir, std::path::PathBuf, RedbStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let store = RedbStore::open(&*path).await.unwrap();
    complete_keys(&store, 3).await;
    (folder, path, store)
}

fn assert_lost<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.to_string().contains("was removed or replaced"), "{error}");
}
