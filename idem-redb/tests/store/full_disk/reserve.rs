//! A disk that is nearly full: new keys are refused, until records that were removed have freed pages of the file.
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Claim, Effect, ErrorKind, Key, Lease, LockAnswer, Outcome, Owner, Result, Store};
use idem_redb::{RedbConfig, RedbStore, Transacted};
use redb::{TableDefinition, WriteTransaction};
use tokio::task::JoinSet;

use crate::support::call::key;
use crate::support::process::mount;
use crate::support::workload::{clock, fingerprint, shared};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The first key that is locked after the disk ran full.
const LATER: usize = 1_000_000;
/// How many new keys are asked for then.
const NEW: usize = 200;

/// Other programs have filled the disk, so only the file itself has free pages.
#[test]
fn pages_freed_by_half_of_the_records_admit_new_keys() {
    let test = "full_disk::reserve::pages_freed_by_half_of_the_records_admit_new_keys";
    let Some(folder) = mount::inside(test, "48m") else { return };
    runtime().block_on(async {
        let clock = clock();
        let config = config(&folder);
        let store = RedbStore::builder(config.clone()).clock(shared(&clock)).open().await.unwrap();
        let mut holders = Vec::new();
        for number in 0..300 {
            holders.push(acquire(&store, &key(LATER / 2 + number), DAY).await.unwrap());
        }
        fill(&store, |number| if number % 2 == 0 { DAY } else { HOUR }).await;
        leave(&folder, 700);
        assert_refused(&store).await;
        clock.advance(2 * HOUR);
        expire(&store).await;
        take_new_keys(&store, LATER).await;
        for lease in &holders {
            assert_eq!(store.complete(lease, outcome(), DAY).await.unwrap(), Effect::Applied);
        }
        store.close().await.unwrap();
        let store = RedbStore::builder(config).clock(shared(&clock)).open().await.unwrap();
        take_new_keys(&store, 2 * LATER).await;
    });
}

/// The store does not know how much of the file the application's rows take; the space that its records freed counts
/// all the same.
#[test]
fn a_file_with_rows_takes_new_keys_again_once_its_records_have_expired() {
    const FIRST: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("first");
    const LAST: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("last");
    let test = "full_disk::reserve::a_file_with_rows_takes_new_keys_again_once_its_records_have_expired";
    let Some(folder) = mount::inside(test, "64m") else { return };
    runtime().block_on(async {
        let clock = clock();
        let config = config(&folder);
        let store = RedbStore::builder(config.clone()).clock(shared(&clock)).open().await.unwrap();
        let first = acquire(&store, &key(LATER / 2), HOUR).await.unwrap();
        let last = acquire(&store, &key(LATER / 2 + 1), HOUR).await.unwrap();
        let insert = async |lease: &Lease, table: TableDefinition<'static, u64, &'static [u8]>, rows| {
            let work = move |txn: &WriteTransaction| {
                let mut table = txn.open_table(table)?;
                for row in 0..rows {
                    table.insert(row, &[7; 3_900][..])?;
                }
                Ok::<_, redb::Error>(Outcome::Value(Bytes::new()))
            };
            assert!(matches!(store.complete_with(lease, work).await.unwrap(), Transacted::Applied));
        };
        insert(&first, FIRST, 1).await;
        fill(&store, |_| HOUR).await;
        // These rows are written last, and stay.
        insert(&last, LAST, 50).await;
        leave(&folder, 700);
        assert_refused(&store).await;
        clock.advance(2 * HOUR);
        expire(&store).await;
        assert_eq!(store.stats().await.unwrap().completed, 0);
        take_new_keys(&store, LATER).await;
        store.close().await.unwrap();
        let store = RedbStore::builder(config).clock(shared(&clock)).open().await.unwrap();
        take_new_keys(&store, 2 * LATER).await;
    });
}

/// New records of another size take more or less of the file for each of their bytes than those that were removed.
#[test]
fn each_lock_that_is_granted_in_a_file_that_was_emptied_can_be_completed() {
    let test = "full_disk::reserve::each_lock_that_is_granted_in_a_file_that_was_emptied_can_be_completed";
    let Some(folder) = mount::inside(test, "48m") else { return };
    runtime().block_on(async {
        let clock = clock();
        let store = RedbStore::builder(config(&folder)).clock(shared(&clock)).open().await.unwrap();
        for (round, size) in [32_000, 17_000, 100].into_iter().enumerate() {
            let (mut kept, mut refused, mut number) = (0, 0, round * LATER);
            while refused < 300 {
                number += 1;
                match acquire(&store, &key(number), HOUR).await {
                    Ok(lease) => {
                        let outcome = Outcome::Value(Bytes::from(vec![7; size]));
                        let done = store.complete(&lease, outcome, HOUR).await;
                        assert!(matches!(done, Ok(Effect::Applied)), "{size} bytes, after {kept}: {done:?}");
                        kept += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                        refused += 1;
                    }
                }
                if kept == 5_000 {
                    break;
                }
            }
            println!("{kept} outcomes of {size} bytes");
            assert!(kept > 300);
            clock.advance(2 * HOUR);
            expire(&store).await;
        }
    });
}

/// The reserve holds for many callers at once.
#[test]
fn each_lock_that_is_granted_to_one_of_many_callers_can_be_completed() {
    let test = "full_disk::reserve::each_lock_that_is_granted_to_one_of_many_callers_can_be_completed";
    let Some(folder) = mount::inside(test, "48m") else { return };
    runtime().block_on(async {
        let store = RedbStore::open(config(&folder)).await.unwrap();
        let mut callers = JoinSet::new();
        for caller in 0..50 {
            let store = store.clone();
            callers.spawn(async move {
                let (mut kept, mut refused) = (0, 0);
                for number in (caller..).step_by(50) {
                    match acquire(&store, &key(number), DAY).await {
                        Ok(lease) => {
                            let done = store.complete(&lease, outcome(), DAY).await;
                            assert!(matches!(done, Ok(Effect::Applied)), "{done:?}");
                            kept += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                            refused += 1;
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    if refused == 60 {
                        break;
                    }
                }
                kept
            });
        }
        let kept: usize = callers.join_all().await.into_iter().sum();
        assert!(kept > 1_000, "{kept}");
    });
}

/// Between two looks at the disk the store subtracts what it writes from what it saw. That subtracts some bytes twice,
/// so it looks again before it refuses.
#[test]
fn a_disk_with_room_is_not_reported_full_to_many_callers_at_once() {
    const LEFT: u64 = 20 << 10;
    let test = "full_disk::reserve::a_disk_with_room_is_not_reported_full_to_many_callers_at_once";
    let Some(folder) = mount::inside(test, "256m") else { return };
    runtime().block_on(async {
        let store = RedbStore::open(config(&folder)).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..50 {
            let (store, stop, folder) = (store.clone(), Arc::clone(&stop), folder.clone());
            callers.spawn(async move {
                for number in (caller..).step_by(50) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let large = Outcome::Value(vec![7; 120 << 10].into());
                    match acquire(&store, &key(number), DAY).await {
                        // A completion may fail once there is no room any more.
                        Ok(lease) => drop(store.complete(&lease, large, DAY).await),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                            let left = left(&folder);
                            stop.store(true, Ordering::SeqCst);
                            return Some((left, error.to_string()));
                        }
                    }
                }
                None
            });
        }
        let told = callers.join_all().await.into_iter().flatten().max().unwrap();
        assert!(told.0 < LEFT, "{} KiB were left: {}", told.0, told.1);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

fn config(folder: &Path) -> RedbConfig {
    let mut config = RedbConfig::new(folder.join("payments.idem"));
    (config.cache_bytes, config.sweep) = (4 << 20, false);
    config
}

/// An outcome that fits a page of 16 KiB.
fn outcome() -> Outcome {
    Outcome::Value(Bytes::from(vec![7; 15_800]))
}

async fn acquire(store: &RedbStore, key: &Key, retention: Duration) -> Result<Lease> {
    let claim = Claim { owner: Owner::random()?, lease: Duration::from_mins(10), retention };
    match store.lock(key, &fingerprint(), &claim).await? {
        LockAnswer::Acquired(lease) => Ok(lease),
        other => panic!("{key:?} is not free: {other:?}"),
    }
}

/// Completes keys until new ones are refused for longer than the interval at which the store looks at the disk.
async fn fill(store: &RedbStore, retention: impl Fn(usize) -> Duration) {
    let (mut refused, mut number) = (0, 0);
    while refused < 100 {
        number += 1;
        match acquire(store, &key(number), retention(number)).await {
            Ok(lease) => {
                let done = store.complete(&lease, outcome(), retention(number)).await.unwrap();
                assert_eq!(done, Effect::Applied);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    assert!(number > 1_000, "full after {number}");
}

async fn assert_refused(store: &RedbStore) {
    for number in LATER - 20..LATER {
        let error = acquire(store, &key(number), HOUR).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    }
}

/// Runs [`NEW`] new keys, each of which ends before the next.
async fn take_new_keys(store: &RedbStore, first: usize) {
    let (mut done, mut next, mut last) = (0, first, None);
    let ended = tokio::time::timeout(Duration::from_mins(1), async {
        while done < NEW {
            next += 1;
            match acquire(store, &key(next), HOUR).await {
                Ok(lease) => {
                    assert_eq!(store.complete(&lease, outcome(), HOUR).await.unwrap(), Effect::Applied);
                    done += 1;
                }
                Err(error) => {
                    last = Some(error.to_string());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    });
    assert!(ended.await.is_ok(), "{done} new keys of {NEW}: {last:?}");
}

async fn expire(store: &RedbStore) {
    while store.expire(1_000).await.unwrap().more {}
}

/// Writes a log as another program would, until `kib` KiB of the disk are left.
fn leave(folder: &Path, kib: u64) {
    let log = left(folder).saturating_sub(kib) << 10;
    std::fs::write(folder.join("log"), vec![1; usize::try_from(log).unwrap()]).unwrap();
}

/// How many KiB are left of the disk.
fn left(folder: &Path) -> u64 {
    let df = std::process::Command::new("df").arg("-kP").arg(folder).output().unwrap();
    let line = String::from_utf8_lossy(&df.stdout).lines().last().unwrap_or_default().to_owned();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}
