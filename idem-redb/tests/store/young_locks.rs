//! Locks that end within moments never get a note in the expiry index; the others get theirs late, and expire like them.

use idem_core::{Expired, Fenced, Store};
use idem_redb::RedbStore;
use redb::Database;

use crate::support::call::{acquire, complete, config, key, open, shared_config, value};
use crate::support::disk::Disk;
use crate::support::locks::{LOCKS, MOMENT, Rows, lock_all, row_of_notes, rows, stats, until};
use crate::support::workload::{LEASE, clock};

#[tokio::test]
async fn a_lock_that_is_completed_at_once_leaves_no_row() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..5 {
        let lease = acquire(&store, &key(number)).await;
        assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Fenced::Applied);
        assert_eq!(rows(&disk), Rows { locks: 1, notes: 0 });
        if number % 2 == 0 {
            complete(&store, &lease, value(number)).await;
        } else {
            assert_eq!(store.release(&lease).await.unwrap(), Fenced::Applied);
        }
        assert_eq!(rows(&disk), Rows { locks: 0, notes: 0 });
    }
    // Nothing is noted later of what is gone.
    store.close().await.unwrap();
    assert_eq!(rows(&disk), Rows { locks: 0, notes: 0 });
}

#[tokio::test]
async fn locks_are_noted_when_nothing_comes_any_more() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..3 {
        acquire(&store, &key(number)).await;
    }
    until(async || rows(&disk) == Rows { locks: 3, notes: 3 }).await;
    assert_eq!(stats(&store).await, (3, 0));
}

#[tokio::test]
async fn locks_are_noted_while_others_come_and_go() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    let mut number = 0;
    until(async || {
        // More often than a store that rests is looked after.
        for _ in 0..3 {
            number += 1;
            complete(&store, &acquire(&store, &key(number)).await, value(number)).await;
            tokio::time::sleep(MOMENT).await;
        }
        rows(&disk) == Rows { locks: 1, notes: 1 }
    })
    .await;
    // And then its note goes with it.
    complete(&store, &lease, value(0)).await;
    assert_eq!(rows(&disk), Rows { locks: 0, notes: 0 });
}

#[tokio::test]
async fn closing_notes_all() {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, 300).await;
    store.close().await.unwrap();
    assert_eq!(rows(&disk), Rows { locks: 300, notes: 300 });
    let store = open(&disk, config(), &clock).await.unwrap();
    assert_eq!(stats(&store).await, (300, 0));
    clock.advance(2 * LEASE);
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: 300, more: false });
}

#[tokio::test]
async fn young_locks_expire_like_others() {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, 5).await;
    assert_eq!(rows(&disk), Rows { locks: 5, notes: 0 });
    assert_eq!(store.expire(9).await.unwrap(), Expired { removed: 0, more: false });
    clock.advance(2 * LEASE);
    assert_eq!(store.expire(2).await.unwrap(), Expired { removed: 2, more: true });
    assert_eq!(store.expire(9).await.unwrap(), Expired { removed: 3, more: false });
    assert_eq!(rows(&disk), Rows { locks: 0, notes: 0 });
}

#[tokio::test]
async fn what_a_store_holds_is_told_after_a_crash_at_any_moment() {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, 40).await;
    until(async || rows(&disk) == Rows { locks: 40, notes: 40 }).await;
    let check = async |expected| {
        assert_eq!(stats(&store).await, expected);
        let crashed = Disk::holding(disk.bytes());
        let again = open(&crashed, config(), &clock).await.unwrap();
        assert_eq!(stats(&again).await, expected, "after a crash");
        while again.expire(9).await.unwrap().more {}
        assert_eq!(stats(&again).await, expected, "once all locks were looked through");
        again.close().await.unwrap();
        let again = open(&crashed, config(), &clock).await.unwrap();
        assert_eq!(stats(&again).await, expected, "after a crash, and closing");
    };
    // Old ones with notes, young ones without, and each kind ends.
    let young = acquire(&store, &key(100)).await;
    check((41, 0)).await;
    assert!(store.remove(&key(3), true).await.unwrap());
    check((40, 0)).await;
    complete(&store, &young, value(100)).await;
    check((39, 1)).await;
    acquire(&store, &key(101)).await;
    acquire(&store, &key(3)).await;
    check((41, 1)).await;
}

/// It gives each lock a note, and does not count them.
#[tokio::test]
async fn a_file_of_an_older_version_is_used_with_all_that_it_holds() {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, 7).await;
    store.close().await.unwrap();
    let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
    let txn = database.begin_write().unwrap();
    let removed = txn.open_table(LOCKS).unwrap().remove(&row_of_notes()).unwrap().is_some();
    assert!(removed, "it was counted");
    txn.commit().unwrap();
    database.close().unwrap();

    let store = open(&disk, config(), &clock).await.unwrap();
    assert_eq!(stats(&store).await, (7, 0));
    acquire(&store, &key(100)).await;
    assert_eq!(stats(&store).await, (8, 0));
    let crashed = Disk::holding(disk.bytes());
    assert_eq!(stats(&open(&crashed, config(), &clock).await.unwrap()).await, (8, 0));
    clock.advance(2 * LEASE);
    assert_eq!(store.expire(100).await.unwrap(), Expired { removed: 7, more: false });
    assert_eq!(stats(&store).await, (1, 0));
}

/// Another store on the same database would not know of locks without one.
#[tokio::test]
async fn a_shared_database_notes_each_lock_at_once() {
    let disk = Disk::new();
    let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
    let store = RedbStore::builder(shared_config()).with_database(database.into()).await.unwrap();
    lock_all(&store, 9).await;
    assert_eq!(rows(&disk), Rows { locks: 9, notes: 9 });
    assert_eq!(stats(&store).await, (9, 0));
}
