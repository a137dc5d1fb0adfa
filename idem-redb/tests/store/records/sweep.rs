//! Expired records are removed in the background, in small steps, and their space can be given back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Effect, ErrorKind, Expired, LockAnswer, LostReason, Outcome, Store};
use idem_redb::{QuickRepair, RedbConfig, RedbStore};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::task::JoinSet;

use crate::support::call::{acquire, complete, config, key, lock, open, replay, short_lock, value};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock};

#[tokio::test]
async fn the_sweeper_removes_what_has_expired_and_nothing_else() {
    let disk = Disk::new();
    let clock = clock();
    let mut config = config();
    config.sweep = true;
    config.sweep_interval = Duration::from_millis(1);
    let store = open(&disk, config, &clock).await.unwrap();
    let of_its_own = records(&disk);
    complete_short_lived(&store, 300).await;
    let lease = acquire(&store, &key(1_000)).await;
    complete(&store, &lease, value(1_000)).await;
    let (locked, abandoned) = (acquire(&store, &key(1_001)).await, short_lock(&store, 1_002).await);
    assert_eq!(records(&disk), of_its_own + 303);
    clock.advance(2 * LEASE);
    // Left are one completed key, and one locked key whose retention is not over.
    for _ in 0..5_000 {
        if records(&disk) == of_its_own + 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(records(&disk), of_its_own + 2);
    assert_eq!(replay(&store, &key(1_000)).await, value(1_000));
    complete(&store, &locked, value(1_001)).await;
    let late = store.complete(&abandoned, value(1_002), abandoned.retention()).await.unwrap();
    assert_eq!(late, Effect::Lost(LostReason::Gone));
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: 0, more: false });
}

#[tokio::test]
async fn a_sweeper_that_is_off_removes_nothing() {
    let disk = Disk::new();
    let clock = clock();
    let mut config = config();
    config.sweep_interval = Duration::from_millis(1);
    assert!(!config.sweep);
    let store = open(&disk, config, &clock).await.unwrap();
    complete_short_lived(&store, 50).await;
    clock.advance(2 * LEASE);
    let changes = disk.counts().changes;
    // A hundred intervals in which a sweeper would have come by.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(disk.counts().changes, changes, "something wrote");
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: 50, more: false });
}

#[tokio::test]
async fn expire_keeps_to_its_budget() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    complete_short_lived(&store, 200).await;
    clock.advance(2 * LEASE);
    assert_eq!(store.expire(0).await.unwrap(), Expired { removed: 0, more: true });
    assert_eq!(store.expire(150).await.unwrap(), Expired { removed: 150, more: true });
    assert_eq!(store.expire(50).await.unwrap(), Expired { removed: 50, more: false });
}

/// Many removals are spread over many commits, with callers' calls in between.
#[tokio::test]
async fn a_long_sweep_is_made_in_steps() {
    const EXPIRED: usize = 4_000;
    let disk = Disk::new();
    let clock = clock();
    let mut config = config();
    config.quick_repair = QuickRepair::Never;
    let store = open(&disk, config, &clock).await.unwrap();
    complete_short_lived(&store, EXPIRED).await;
    clock.advance(2 * LEASE);
    let before = disk.counts().syncs;
    assert_eq!(store.expire(EXPIRED).await.unwrap(), Expired { removed: EXPIRED, more: false });
    let commits = usize::try_from(disk.counts().syncs - before).unwrap();
    println!("{EXPIRED} records were removed in {commits} commits");
    assert!(EXPIRED / commits <= 256, "{} removals in a commit", EXPIRED / commits);
}

/// The sweep removes as many records as come, however many come. A fixed number for each commit would fall behind for
/// ever.
#[tokio::test]
async fn a_sweep_keeps_up_with_callers_who_never_rest() {
    const CALLERS: usize = 64;
    const EACH: usize = 400;
    let disk = Disk::new();
    let clock = clock();
    let mut config = config();
    (config.sweep, config.sweep_interval) = (true, Duration::from_millis(1));
    let store = open(&disk, config, &clock).await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (store, clock) = (store.clone(), clock.clone());
        callers.spawn(async move {
            for round in 0..EACH {
                let number = caller * EACH + round;
                let lease = short_lock(&store, number).await;
                // Every fourth key is left unfinished.
                if !number.is_multiple_of(4) {
                    complete(&store, &lease, value(number)).await;
                }
                // An outcome lives for a thousand rounds, and an unfinished lock for two thousand.
                clock.advance(LEASE / 1_000);
            }
        });
    }
    callers.join_all().await;
    let left = records(&disk);
    println!("{left} records are left of {}", CALLERS * EACH);
    assert!(left < (CALLERS * EACH / 4) as u64, "{left} records are left of {}", CALLERS * EACH);
}

#[tokio::test]
async fn compact_gives_back_the_space_of_swept_records() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let large = Outcome::Value(Bytes::from(vec![3; 256 << 10]));
    for number in 0..60 {
        let lease = short_lock(&store, number).await;
        complete(&store, &lease, large.clone()).await;
    }
    let lease = acquire(&store, &key(1_000)).await;
    complete(&store, &lease, value(1_000)).await;
    clock.advance(2 * LEASE);
    while store.expire(1_000).await.unwrap().more {}
    // The snapshot that a read keeps open must not stand in the way.
    assert_eq!(replay(&store, &key(1_000)).await, value(1_000));
    let before = disk.bytes().len();
    assert!(store.compact().await.unwrap(), "there was nothing to give back");
    let after = disk.bytes().len();
    println!("compacted from {before} to {after} bytes");
    assert!(after * 4 < before, "{before} bytes became {after}");
    assert_eq!(replay(&store, &key(1_000)).await, value(1_000));
    assert!(matches!(lock(&store, &key(0)).await.unwrap(), LockAnswer::Acquired(_)));
    store.close().await.unwrap();
    let store = open(&disk, config(), &clock).await.unwrap();
    assert_eq!(replay(&store, &key(1_000)).await, value(1_000));
}

/// Completes `count` keys with a short retention, by many callers at a time, so that they share commits.
async fn complete_short_lived(store: &RedbStore, count: usize) {
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let store = store.clone();
        callers.spawn(async move {
            for number in (caller..count).step_by(50) {
                let lease = short_lock(&store, number).await;
                complete(&store, &lease, value(number)).await;
            }
        });
    }
    callers.join_all().await;
}

/// How many records a copy of the file has, expired ones included.
fn records(disk: &Disk) -> u64 {
    let copy = Disk::holding(disk.bytes());
    let database = Database::builder().create_with_backend(copy.open().unwrap()).unwrap();
    let txn = database.begin_read().unwrap();
    let locks = txn.open_table(TableDefinition::<&[u8; 48], &[u8]>::new("idem/locks")).unwrap();
    // Notes and the high-water mark are in the same table, before all locks.
    let locks =
        locks.iter().unwrap().filter(|entry| entry.as_ref().unwrap().0.value()[..16] != [0; 16]).count();
    let outcomes = txn.open_table(TableDefinition::<u128, &[u8]>::new("idem/outcomes")).unwrap();
    locks as u64 + outcomes.len().unwrap()
}

/// A sweep under way and another one that waits must not keep the writer, and with it the file, from ending.
#[tokio::test]
async fn a_store_that_is_dropped_in_the_middle_of_two_sweeps_closes_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swept.idem");
    let clock = clock();
    for _ in 0..5 {
        let mut config = config();
        config.path.clone_from(&path);
        (config.create, config.sweep, config.sweep_interval) = (true, true, Duration::from_millis(1));
        let store = until_opened(config, &clock).await;
        complete_short_lived(&store, 2_000).await;
        clock.advance(2 * LEASE);
        // The sweeper has begun; this second sweep is sent, and then its caller gives up.
        while store.stats().await.unwrap().completed == 2_000 {
            tokio::task::yield_now().await;
        }
        let _given_up = tokio::time::timeout(Duration::from_millis(5), store.expire(10)).await;
        drop(store);
    }
    let mut config = config();
    config.path.clone_from(&path);
    until_opened(config, &clock).await.close().await.unwrap();
}

/// Opens the file once the previous store has closed it.
async fn until_opened(config: RedbConfig, clock: &ManualClock) -> RedbStore {
    for _ in 0..2_000 {
        let opened = RedbStore::builder(config.clone()).clock(Arc::new(clock.clone())).open().await;
        match opened {
            Ok(store) => return store,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the previous store keeps its file")
}
