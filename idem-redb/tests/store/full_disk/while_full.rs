//! A disk that stays full: replays go on, holders end their keys, and calls without a chance are refused untried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Effect, ErrorKind, Execution, Lease, LockAnswer, Outcome, Policy, Result, Store, StoreExt,
    UnavailableReason,
};
use idem_redb::RedbStore;
use tokio::task::JoinSet;

use crate::support::call::{acquire, complete, config, key, lock, open, replay};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock, fingerprint};

/// Outcomes that together are larger than the cache, so that replays read from the disk.
const KEPT: usize = 40;
const LARGE: usize = 64 << 10;
/// How many calls are refused while others replay.
const REFUSED: usize = 200;

/// The store reopens its database again and again meanwhile, and no replay may fail because of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_replay_succeeds_while_many_callers_meet_a_full_disk() {
    for quick_repair in [true, false] {
        let (disk, store) = full(quick_repair).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let (refused, replays) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let (store, is_over, refused) = (store.clone(), Arc::clone(&is_over), Arc::clone(&refused));
            writers.spawn(async move {
                let mut number = 1_000_000 * (writer + 1);
                while !is_over.load(Ordering::Relaxed) {
                    number += 1;
                    // Where the lock succeeds, its outcome finds no room.
                    if let Err(error) = write(&store, number, huge()).await {
                        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut readers = JoinSet::new();
        for reader in 0..4 {
            let (store, replays, refused) = (store.clone(), Arc::clone(&replays), Arc::clone(&refused));
            readers.spawn(async move {
                let mut round = 0;
                while round < 500 || refused.load(Ordering::Relaxed) < REFUSED {
                    round += 1;
                    let number = (reader * 17 + round) % KEPT;
                    assert_eq!(replay(&store, &key(number)).await, large(number));
                    replays.fetch_add(1, Ordering::Relaxed);
                    // A replay does not wait for anything, so without a yield the other tasks would not run.
                    tokio::task::yield_now().await;
                }
            });
        }
        while let Some(read) = readers.join_next().await {
            read.unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        while let Some(written) = writers.join_next().await {
            written.unwrap();
        }
        println!("quick_repair {quick_repair}: {replays:?} replays, {refused:?} calls refused");
        assert_eq!(disk.counts().opened, 1, "the file was closed in between");
        disk.change_faults(|faults, _| faults.space = None);
        write_soon(&store, 1, huge()).await;
    }
}

/// Each try costs a failed commit and an opening of the database, so there must be few.
#[tokio::test]
async fn calls_that_cannot_succeed_are_refused_without_being_tried() {
    const CALLS: u64 = 5_000;
    let (disk, store) = full(true).await;
    let before = disk.counts().changes;
    for number in 0..CALLS {
        let error = lock_large(&store, number).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    }
    let changes = disk.counts().changes - before;
    println!("{CALLS} calls were refused with {changes} changes to the disk");
    assert!(changes < CALLS, "{changes} changes to the disk for {CALLS} calls");
}

/// There is room for small writes, though none for large ones.
#[tokio::test]
async fn holders_renew_complete_and_release_on_a_full_disk() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    let mut leases = Vec::new();
    for number in 0..30 {
        leases.push(acquire(&store, &key(number)).await);
    }
    let large_one = acquire(&store, &key(100)).await;
    leave_little(&disk);
    let error = store.complete(&large_one, huge(), large_one.retention()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let (mut locked, mut refused) = (0, 0);
    for (number, lease) in leases.iter().enumerate() {
        assert_eq!(store.renew(lease, LEASE * 2).await.unwrap(), Effect::Applied, "renewal {number}");
        let ended = match number % 2 {
            0 => store.complete(lease, small(number), lease.retention()).await,
            _ => store.release(lease).await,
        };
        assert_eq!(ended.unwrap(), Effect::Applied, "{number}");
        // Neither large outcomes nor new keys get in the holders' way.
        match store.complete(&large_one, huge(), large_one.retention()).await {
            Err(error) if error.kind() == ErrorKind::Full => refused += 1,
            other => panic!("{other:?}"),
        }
        match lock(&store, &key(200 + number)).await {
            Err(error) if error.kind() == ErrorKind::Full => refused += 1,
            other => locked += usize::from(matches!(other.unwrap(), LockAnswer::Acquired(_))),
        }
    }
    println!("{refused} calls were refused, {locked} locks were granted");
    assert!(refused >= 30);
    for number in (0..30).step_by(2) {
        assert_eq!(replay(&store, &key(number)).await, small(number));
    }
}

/// Pages of removed records are used for new ones, with the disk as full as before.
#[tokio::test]
async fn removing_records_makes_room_on_a_full_disk() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..KEPT {
        let lease = acquire(&store, &key(number)).await;
        complete(&store, &lease, large(number)).await;
    }
    leave_little(&disk);
    let lease = acquire(&store, &key(100)).await;
    let error = store.complete(&lease, huge(), lease.retention()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    for number in 0..KEPT {
        assert!(store.remove(&key(number), false).await.unwrap());
    }
    write_soon(&store, 1, Outcome::Value(Bytes::from(vec![1; LARGE]))).await;
}

/// Leaves space for some pages, and not for a large outcome.
fn leave_little(disk: &Disk) {
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used + 100));
}

/// Work that has run does not run again because there is no room for its result.
#[tokio::test]
async fn work_whose_result_finds_no_room_runs_once() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    complete(&store, &acquire(&store, &key(0)).await, large(0)).await;
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used + 60));
    let policy = Policy::new(LEASE, Duration::from_hours(1)).resend_for(Duration::from_secs(3));
    let runs = AtomicUsize::new(0);
    for retry in 0..3 {
        let answer = store
            .execute(&key(1), &fingerprint(), &policy, |_lease| async {
                runs.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>("x".repeat(400 << 10))
            })
            .await
            .unwrap();
        match answer {
            Execution::Executed(_) if retry == 0 => {}
            Execution::Unavailable(UnavailableReason::Other) if retry > 0 => {}
            Execution::Unknown(_, error) => panic!("retry {retry}: {error}"),
            _ => panic!("retry {retry}: another answer"),
        }
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

/// Retries keep coming, and one of them would take over once the lease is over.
#[tokio::test]
async fn work_whose_result_finds_no_room_is_noted_before_a_retry_may_take_over() {
    const SHORT: Duration = Duration::from_secs(2);
    let disk = Disk::new();
    let store = RedbStore::builder(config()).open_backend(disk.opener()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, Outcome::Value(Bytes::from(vec![1; LARGE]))).await;
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used + 60));
    let runs = Arc::new(AtomicUsize::new(0));
    let attempt = || {
        let (store, runs) = (store.clone(), Arc::clone(&runs));
        tokio::spawn(async move {
            let policy = Policy::new(SHORT, Duration::from_hours(24));
            let work = |_| async {
                runs.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(Outcome::Value(Bytes::from(vec![2; 400 << 10])))
            };
            store.execute_outcome(&key(1), &fingerprint(), &policy, work).await
        })
    };
    let first = attempt();
    let retried = loop {
        match attempt().await.unwrap() {
            Ok(Execution::InProgress { .. }) | Err(_) => tokio::time::sleep(SHORT / 20).await,
            ended => break ended,
        }
    };
    assert!(matches!(retried, Ok(Execution::Unavailable(UnavailableReason::Other))), "{retried:?}");
    assert!(matches!(first.await.unwrap(), Ok(Execution::Executed(_))));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

/// A process that starts while the disk is full replays completed keys.
#[tokio::test]
async fn a_store_is_opened_on_a_full_disk_and_replays() {
    let (disk, store) = full(true).await;
    drop(store.close().await);
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..KEPT {
        assert_eq!(replay(&store, &key(number)).await, large(number));
    }
}

/// A store whose disk is full: [`KEPT`] outcomes are in it, and locks are refused.
async fn full(quick_repair: bool) -> (Disk, RedbStore) {
    let disk = Disk::new();
    let mut config = config();
    config.quick_repair = quick_repair.into();
    let store = open(&disk, config, &clock()).await.unwrap();
    for number in 0..KEPT {
        let lease = acquire(&store, &key(number)).await;
        complete(&store, &lease, large(number)).await;
    }
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used));
    let mut number = 500_000;
    // Until even locks find no page.
    loop {
        number += 1;
        match write(&store, number, large(number)).await {
            Err(error) if error.kind() == ErrorKind::Full => break,
            done => done.unwrap(),
        }
    }
    (disk, store)
}

async fn lock_large(store: &RedbStore, number: u64) -> Result<()> {
    write(store, 2_000_000 + usize::try_from(number).unwrap(), huge()).await
}

async fn write(store: &RedbStore, number: usize, outcome: Outcome) -> Result<()> {
    match lock(store, &key(number)).await? {
        LockAnswer::Acquired(lease) => store.complete(&lease, outcome, lease.retention()).await.map(drop),
        other => panic!("key {number} is not free: {other:?}"),
    }
}

/// Sends a completion until there is room for it.
async fn write_soon(store: &RedbStore, number: usize, outcome: Outcome) {
    let key = key(9_000_000 + number);
    let mut lease: Option<Lease> = None;
    for _ in 0..10_000 {
        let done = match &lease {
            None => lock(store, &key).await.map(|locked| {
                let LockAnswer::Acquired(acquired) = locked else { panic!("{locked:?}") };
                lease = Some(acquired);
                false
            }),
            Some(lease) => store.complete(lease, outcome.clone(), lease.retention()).await.map(|_| true),
        };
        match done {
            Ok(true) => return assert_eq!(replay(store, &key).await, outcome),
            Ok(false) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    panic!("still full");
}

fn small(number: usize) -> Outcome {
    Outcome::Value(Bytes::from(format!("outcome {number}")))
}

fn large(number: usize) -> Outcome {
    let mut bytes = vec![0xA5; LARGE];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Outcome::Value(Bytes::from(bytes))
}

/// More than free pages of a full file may hold.
fn huge() -> Outcome {
    Outcome::Value(Bytes::from(vec![0x5A; 4 << 20]))
}
