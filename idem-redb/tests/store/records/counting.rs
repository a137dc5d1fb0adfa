//! The store counts what each scope holds: the counts add up, and a missing, stale or damaged row of them does no harm.
#![cfg(unix)]

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Claim, Effect, Key, Lease, LockAnswer, Outcome, Owner, Scope, Store};
use idem_redb::{QuickRepair, RedbConfig, RedbStore, Transacted};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::task::JoinSet;

use crate::support::call::{acquire, assert_replays, complete, complete_keys, key, value};
use crate::support::rng::Rng;
use crate::support::workload::{LEASE, clock, fingerprint, shared};

const LOCKS: TableDefinition<'_, &[u8; Key::STORAGE_LEN], &[u8]> = TableDefinition::new("idem/locks");
/// Longer than a lease, so that a lock can be taken over before it expires.
const RETENTION: Duration = Duration::from_mins(1);

#[tokio::test]
async fn counts_are_zero_once_all_records_have_expired() {
    for seed in 1..=4 {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        let path = folder.path().join("payments.idem");
        let mut rng = Rng::new(seed);
        for _opening in 0..2 {
            let store = open(&path, &clock).await;
            for _ in 0..100 {
                one_call(&store, &clock, &mut rng).await;
            }
            store.close().await.unwrap();
        }
        assert!(total(&path) > 0, "seed {seed}: nothing was counted");
        let store = open(&path, &clock).await;
        clock.advance(3 * RETENTION);
        while store.expire(1_000).await.unwrap().more {}
        store.close().await.unwrap();
        assert_eq!((total(&path), row(&path).unwrap().len()), (0, 40), "seed {seed}");
    }
}

#[tokio::test]
async fn the_row_of_counts_is_not_taken_for_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let store = RedbStore::open(&path).await.unwrap();
    for number in 0..5 {
        assert_eq!(unfinished(&store).await, number);
        acquire(&store, &key(usize::try_from(number).unwrap())).await;
    }
    store.close().await.unwrap();
    assert!(row(&path).is_some());
    assert_eq!(unfinished(&RedbStore::open(&path).await.unwrap()).await, 5);
}

/// A later opening would believe the row, and count records that were removed meanwhile.
#[tokio::test]
async fn a_store_that_does_not_count_removes_the_row_of_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (path, crashed) = (folder.path().join("payments.idem"), folder.path().join("crashed.idem"));
    let store = RedbStore::open(&path).await.unwrap();
    complete_keys(&store, 3).await;
    store.close().await.unwrap();
    assert!(row(&path).is_some());
    // On a storage of the caller's own the store does not count, since it does not know the file system.
    let file = path.clone();
    let open = move || {
        let file = OpenOptions::new().read(true).write(true).open(&file)?;
        FileBackend::new(file).map_err(io::Error::other)
    };
    let store = RedbStore::builder("").open_backend(open).await.unwrap();
    acquire(&store, &key(3)).await;
    std::fs::copy(&path, &crashed).unwrap();
    assert_eq!(row(&crashed), None);
    store.close().await.unwrap();
    assert_eq!(row(&path), None);
}

/// The row of counts only protects scopes from one another, and no record depends on it.
#[tokio::test]
async fn a_damaged_row_of_counts_is_ignored() {
    for damage in [None, Some(&b""[..]), Some(&[7; 48]), Some(&[7; 4_000])] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payments.idem");
        let store = RedbStore::open(&path).await.unwrap();
        complete_keys(&store, 3).await;
        acquire(&store, &key(3)).await;
        store.close().await.unwrap();
        write_row(&path, damage);
        let store = RedbStore::open(&path).await.unwrap();
        assert_replays(&store, 3).await;
        assert_eq!(unfinished(&store).await, 1);
        acquire(&store, &key(4)).await;
        assert_eq!(store.expire(10).await.unwrap().removed, 0);
        store.close().await.unwrap();
        assert!(row(&path).is_some_and(|row| Some(&row[..]) != damage), "it was not counted anew");
    }
}

/// As a version that did not count leaves it.
#[tokio::test]
async fn a_file_without_a_count_is_counted_when_it_is_opened() {
    for count in [3, 6_000] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        let path = folder.path().join("payments.idem");
        let store = open(&path, &clock).await;
        // Expired outcomes leave a file that is far larger than its records.
        for number in 0..20 {
            let lease = acquire_for(&store, &key(100_000 + number), RETENTION).await;
            complete(&store, &lease, Outcome::Value(vec![7; 1 << 20].into())).await;
        }
        complete_at_once(&store, count).await;
        clock.advance(2 * RETENTION);
        while store.expire(1_000).await.unwrap().more {}
        store.close().await.unwrap();
        let before = total(&path);
        write_row(&path, None);
        let store = open(&path, &clock).await;
        assert!(store.remove(&key(0), true).await.unwrap());
        complete(&store, &acquire(&store, &key(0)).await, value(0)).await;
        store.close().await.unwrap();
        let after = total(&path);
        if count == 3 {
            assert_eq!(after, before);
        } else {
            assert!(after.abs_diff(before) < before / 10, "{before} before, {after} after");
        }
    }
}

/// An older version does not know the row and leaves it in the file, while its own commits make the row stale.
#[tokio::test]
async fn a_row_of_counts_left_by_an_older_version_is_not_believed() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("payments.idem");
    let store = open(&path, &clock).await;
    complete_keys(&store, 4).await;
    store.close().await.unwrap();
    let (four, counted) = (total(&path), row(&path).unwrap());
    let file = path.clone();
    let opened = move || {
        let file = OpenOptions::new().read(true).write(true).open(&file)?;
        FileBackend::new(file).map_err(io::Error::other)
    };
    let older = RedbStore::builder("").clock(shared(&clock)).open_backend(opened).await.unwrap();
    clock.advance(Duration::from_mins(1));
    for number in 1..4 {
        assert!(older.remove(&key(number), true).await.unwrap());
    }
    older.close().await.unwrap();
    write_row(&path, Some(&counted));
    for _opening in 0..2 {
        let store = open(&path, &clock).await;
        acquire_and_release(&store).await;
        store.close().await.unwrap();
        assert_eq!(total(&path), four / 4);
    }
}

/// Changes that were not written to the row before a crash do not make the counts wrong for ever.
#[tokio::test]
async fn a_file_is_counted_anew_after_a_crash() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let mut path = folder.path().join("payments.idem");
    for crash in 0..3 {
        let store = open(&path, &clock).await;
        if crash == 0 {
            complete_keys(&store, 1).await;
        }
        clock.advance(Duration::from_secs(2));
        let lease = acquire(&store, &key(10)).await;
        clock.advance(Duration::from_secs(2));
        complete(&store, &lease, Outcome::Value(vec![7; 60_000].into())).await;
        assert!(store.remove(&key(10), true).await.unwrap());
        let crashed = folder.path().join(format!("{crash}.idem"));
        std::fs::copy(&path, &crashed).unwrap();
        path = crashed;
    }
    let store = open(&path, &clock).await;
    acquire_and_release(&store).await;
    store.close().await.unwrap();
    let one = total(&path);
    assert!(one < 1_000, "{one} bytes are counted for a small record");
}

/// One random call on one of a few keys, whatever it is answered.
async fn one_call(store: &RedbStore, clock: &ManualClock, rng: &mut Rng) {
    let scope = Scope::new(format!("scope {}", rng.below(3))).unwrap();
    let key = Key::new(&scope, format!("key {}", rng.below(12))).unwrap();
    if rng.chance(1, 5) {
        clock.advance(LEASE + Duration::from_secs(1));
    }
    match rng.below(12) {
        0 => drop(store.remove(&key, true).await.unwrap()),
        1 => drop(store.expire(3).await.unwrap()),
        _ => {
            let claim = Claim { owner: Owner::random().unwrap(), lease: LEASE, retention: RETENTION };
            if let LockAnswer::Acquired(lease) = store.lock(&key, &fingerprint(), &claim).await.unwrap() {
                hold(store, &lease, rng).await;
            }
        }
    }
}

async fn hold(store: &RedbStore, lease: &Lease, rng: &mut Rng) {
    let first = lease.checkpoint().map_or(0, |checkpoint| checkpoint.step) + 1;
    for step in first..first + rng.below(3) as u64 {
        assert_eq!(store.renew(lease, LEASE).await.unwrap(), Effect::Applied);
        assert_eq!(store.checkpoint(lease, step, bytes(rng), LEASE).await.unwrap(), Effect::Applied);
    }
    match rng.below(4) {
        0 => drop(store.release(lease).await.unwrap()),
        1 => drop(store.complete(lease, Outcome::Value(bytes(rng)), RETENTION).await.unwrap()),
        2 => {
            let outcome = Outcome::Value(bytes(rng));
            let done: Transacted<()> = store.complete_with(lease, |_| Ok(outcome)).await.unwrap();
            assert_eq!(done, Transacted::Applied);
        }
        _ => {}
    }
}

fn bytes(rng: &mut Rng) -> Bytes {
    let length = [0, 10, 300, 5_000, 70_000][rng.below(5)];
    rng.bytes(length).into()
}

async fn open(path: &Path, clock: &ManualClock) -> RedbStore {
    let mut config = RedbConfig::new(path);
    (config.sweep, config.quick_repair) = (false, QuickRepair::Never);
    RedbStore::builder(config).clock(shared(clock)).open().await.unwrap()
}

async fn acquire_for(store: &RedbStore, key: &Key, retention: Duration) -> Lease {
    let claim = Claim { owner: Owner::random().unwrap(), lease: LEASE, retention };
    match store.lock(key, &fingerprint(), &claim).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{key:?} is not free: {other:?}"),
    }
}

async fn acquire_and_release(store: &RedbStore) {
    assert_eq!(store.release(&acquire(store, &key(99)).await).await.unwrap(), Effect::Applied);
}

/// Completes keys 0 to `count` - 1 with their [`value`], by many callers at a time.
async fn complete_at_once(store: &RedbStore, count: usize) {
    let mut callers = JoinSet::new();
    for first in 0..100 {
        let store = store.clone();
        callers.spawn(async move {
            for number in (first..count).step_by(100) {
                complete(&store, &acquire(&store, &key(number)).await, value(number)).await;
            }
        });
    }
    callers.join_all().await;
}

async fn unfinished(store: &RedbStore) -> u64 {
    store.stats().await.unwrap().unfinished
}

/// The key of the row, one before that of the high-water mark, which comes last.
fn place() -> [u8; Key::STORAGE_LEN] {
    let mut place = [0; Key::STORAGE_LEN];
    place[16..32].copy_from_slice(&(u128::MAX - 1).to_be_bytes());
    place
}

fn row(path: &Path) -> Option<Vec<u8>> {
    let database = Database::open(path).unwrap();
    let locks = database.begin_read().unwrap().open_table(LOCKS).unwrap();
    locks.get(&place()).unwrap().map(|row| row.value().to_vec())
}

/// The bytes of all records, as the row counts them.
fn total(path: &Path) -> u64 {
    u64::from_be_bytes(*row(path).unwrap().first_chunk().unwrap())
}

fn write_row(path: &Path, row: Option<&[u8]>) {
    let database = Database::open(path).unwrap();
    let txn = database.begin_write().unwrap();
    let mut locks = txn.open_table(LOCKS).unwrap();
    match row {
        Some(row) => drop(locks.insert(&place(), row).unwrap()),
        None => drop(locks.remove(&place()).unwrap()),
    }
    drop(locks);
    txn.commit().unwrap();
}
