//! The disk runs full and gets space again: new keys get `Full` in between, and completed keys still replay.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Effect, ErrorKind, LockAnswer, Outcome, Result, Store};
use idem_redb::{RedbStore, Transacted};
use redb::TableDefinition;

use crate::support::call::{acquire, config, key, lock, open, replay};
use crate::support::disk::Disk;
use crate::support::workload::clock;

/// The first key that is locked after the disk ran full.
const LATER: usize = 10_000;

#[tokio::test]
async fn a_full_disk_refuses_new_keys_and_replays_completed_ones() {
    let clock = clock();
    let disk = Disk::new();
    let store = open(&disk, config(), &clock).await.unwrap();
    disk.change_faults(|faults, _| faults.space = Some(400));
    let kept = fill(&store).await;
    for number in LATER..LATER + 20 {
        let error = write(&store, number, huge()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert_replay(&store, kept).await;
    }
    println!("full after {kept} outcomes of 64 KiB");

    disk.change_faults(|faults, _| faults.space = None);
    write_once_there_is_room(&store, 2 * LATER, huge()).await;
    assert_eq!(replay(&store, &key(2 * LATER)).await, huge());
    assert_replay(&store, kept).await;
    store.close().await.unwrap();
    assert_replay(&open(&disk, config(), &clock).await.unwrap(), kept).await;
}

/// Every amount of space in turn, so that space runs out at every kind of page, and at opening.
#[tokio::test]
async fn space_may_run_out_at_any_write() {
    let clock = clock();
    let empty = Disk::new();
    open(&empty, config(), &clock).await.unwrap().close().await.unwrap();
    let least = empty.used_blocks();
    let mut not_opened = 0;
    for space in least..least + 60 {
        let disk = Disk::holding(empty.bytes());
        disk.change_faults(|faults, _| faults.space = Some(space));
        let store = match open(&disk, config(), &clock).await {
            Ok(store) => store,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "space {space}: {error}");
                not_opened += 1;
                continue;
            }
        };
        let kept = fill(&store).await;
        disk.change_faults(|faults, _| faults.space = None);
        write_once_there_is_room(&store, LATER, huge()).await;
        assert_replay(&store, kept).await;
    }
    println!("60 amounts of space; with {not_opened} of them the file could not be opened");
}

/// Closing may need space too. What was acknowledged is kept all the same, whether or not there is space again.
#[tokio::test]
async fn a_store_closed_on_a_full_disk_opens_again() {
    let clock = clock();
    let disk = Disk::new();
    let store = open(&disk, config(), &clock).await.unwrap();
    disk.change_faults(|faults, _| faults.space = Some(400));
    let kept = fill(&store).await;
    println!("closed on a full disk: {:?}", store.close().await);
    reopened(&disk, &clock, kept).await;
    disk.change_faults(|faults, _| faults.space = None);
    reopened(&disk, &clock, kept).await;
}

/// The closure returns the error that it met. The store recognises the full disk in it, opens its database in place,
/// once, and refuses the next closures without running them.
#[tokio::test]
async fn a_closure_that_meets_a_full_disk_returns_its_own_error() {
    const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    let insert = async || {
        store
            .complete_with(&lease, |txn| {
                txn.open_table(ROWS)?.insert(1, &vec![7; 16 << 20][..])?;
                Ok::<_, redb::Error>(huge())
            })
            .await
    };
    let (length, opened) = (disk.bytes().len() as u64, disk.counts().opened);
    disk.change_faults(|faults, _| faults.most_bytes = Some(length));
    match insert().await.unwrap() {
        Transacted::RolledBack(redb::Error::Io(error)) => {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        other => panic!("{other:?}"),
    }
    let mut refused = 0;
    for _ in 0..100 {
        match insert().await {
            Ok(Transacted::RolledBack(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 90, "{refused} of 100 were refused without being run");
    assert_eq!(disk.counts().opened, opened, "it was closed and opened again");
    disk.change_faults(|faults, _| faults.most_bytes = None);
    let done = soon(async || insert().await).await;
    assert!(matches!(done, Transacted::Applied), "{done:?}");
    assert_eq!(replay(&store, &key(0)).await, huge());
}

async fn reopened(disk: &Disk, clock: &ManualClock, kept: usize) {
    match open(disk, config(), clock).await {
        Ok(store) => {
            assert_replay(&store, kept).await;
            println!("closed again: {:?}", store.close().await);
        }
        Err(error) => {
            println!("opened on a full disk: {error}");
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        }
    }
}

fn large(number: usize) -> Outcome {
    let mut bytes = vec![0xA5; 64 << 10];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Outcome::Value(Bytes::from(bytes))
}

/// More than free pages of a full file may hold.
fn huge() -> Outcome {
    Outcome::Value(Bytes::from(vec![0x5A; 4 << 20]))
}

async fn write(store: &RedbStore, number: usize, outcome: Outcome) -> Result<()> {
    match lock(store, &key(number)).await? {
        LockAnswer::Acquired(lease) => store.complete(&lease, outcome, lease.retention()).await.map(|_| ()),
        other => panic!("key {number} is not free: {other:?}"),
    }
}

/// Completes keys 0, 1, … until the disk is full; returns how many were acknowledged.
async fn fill(store: &RedbStore) -> usize {
    for number in 0..LATER {
        if let Err(error) = write(store, number, large(number)).await {
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            return number;
        }
    }
    panic!("the disk never ran full");
}

/// Writes to the same store as soon as there is space, without reopening it.
async fn write_once_there_is_room(store: &RedbStore, number: usize, outcome: Outcome) {
    let lease = soon(async || lock(store, &key(number)).await).await;
    let LockAnswer::Acquired(lease) = lease else { panic!("{lease:?}") };
    let done = soon(async || store.complete(&lease, outcome.clone(), lease.retention()).await).await;
    assert_eq!(done, Effect::Applied);
}

async fn assert_replay(store: &RedbStore, kept: usize) {
    for number in 0..kept {
        assert_eq!(replay(store, &key(number)).await, large(number), "key {number}");
    }
}

async fn soon<T>(call: impl AsyncFn() -> Result<T>) -> T {
    let mut last = None;
    for _ in 0..2_000 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                last = Some(error);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("still refused: {last:?}");
}
