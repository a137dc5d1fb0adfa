//! Locks that nobody remembers to give a note: they are found and removed in the end, whatever happened to the process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use idem_core::{Claim, ManualClock, Owner, Store};
use idem_redb::{RedbConfig, RedbStore};
use redb::Database;

use crate::support::call::{config, key, open};
use crate::support::child;
use crate::support::disk::{Disk, Failure};
use crate::support::locks::{Rows, lock_all, lock_all_from, rows, rows_of, stats, until};
use crate::support::workload::{LEASE, clock, fingerprint};

/// Also without a sweeper: whoever asks for it finds them, some hundreds at a time.
#[tokio::test]
async fn after_a_crash_locks_without_a_note_are_removed_by_expiry() {
    let (crashed, clock) = crashed(700).await;
    let store = open(&crashed, config(), &clock).await.unwrap();
    clock.advance(2 * LEASE);
    let mut removed = 0;
    while {
        let expired = store.expire(100).await.unwrap();
        removed += expired.removed;
        expired.more
    } {}
    assert_eq!(removed, 700);
    store.close().await.unwrap();
    assert_eq!(rows(&crashed), Rows { locks: 0, notes: 0 });
}

/// Those that have not expired by then get their notes.
#[tokio::test]
async fn after_a_crash_locks_without_a_note_are_found_by_the_sweeper() {
    let (crashed, clock) = crashed(3_000).await;
    let store = open(&crashed, sweeping(), &clock).await.unwrap();
    until(async || rows(&crashed) == Rows { locks: 3_000, notes: 3_000 }).await;
    assert_eq!(stats(&store).await, (3_000, 0));
    clock.advance(2 * LEASE);
    until(async || rows(&crashed) == Rows { locks: 0, notes: 0 }).await;
}

/// The commit that failed may be in the file, and its locks are not remembered by anybody.
#[tokio::test]
async fn locks_of_a_commit_that_failed_are_removed_in_the_end() {
    for after in 0..30 {
        let (disk, clock) = (Disk::new(), clock());
        let store = open(&disk, config(), &clock).await.unwrap();
        disk.change_faults(|faults, counts| {
            faults.failure = Some(Failure { at: counts.calls + after, for_ever: false });
        });
        let claim = Claim { owner: Owner::random().unwrap(), lease: LEASE, retention: LEASE };
        let _unknown = store.lock(&key(0), &fingerprint(), &claim).await;
        // Once writes are taken again the file is open.
        while store.lock(&key(1), &fingerprint(), &claim).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        clock.advance(2 * LEASE);
        while store.expire(100).await.unwrap().more {}
        assert_eq!(stats(&store).await, (0, 0), "the call {after} later failed");
        store.close().await.unwrap();
        assert_eq!(rows(&disk), Rows { locks: 0, notes: 0 }, "the call {after} later failed");
    }
}

const TEST: &str = "unnoted_locks::after_a_kill_locks_without_a_note_are_removed_by_sweeps_in_the_end";

#[test]
fn after_a_kill_locks_without_a_note_are_removed_by_sweeps_in_the_end() {
    if let Some(path) = child::role() {
        return until_killed(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.idem");
    let mut child = child::command(TEST, &path.display().to_string());
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "locked"), "the process ended early");
    child.kill().unwrap();
    child.wait().unwrap();
    let left = rows_of(&Database::open(&path).unwrap());
    assert!(left.notes < left.locks, "all were noted before the process was killed: {left:?}");
    runtime().block_on(async {
        let mut config = sweeping();
        config.path.clone_from(&path);
        let store = RedbStore::open(config).await.unwrap();
        until(async || stats(&store).await == (0, 0)).await;
        // Notes go after their locks.
        while store.expire(1_000).await.unwrap().more {}
        store.close().await.unwrap();
    });
    assert_eq!(rows_of(&Database::open(&path).unwrap()), Rows { locks: 0, notes: 0 });
}

/// Locks again and again, so that some are young whenever it is killed.
fn until_killed(path: &Path) {
    runtime().block_on(async {
        let mut config = RedbConfig::new(path);
        config.sweep = false;
        let store = RedbStore::open(config).await.unwrap();
        for number in 0.. {
            lock_all_from(&store, 200 * number, 200).await;
            if number == 5 {
                println!("\nlocked");
            }
        }
    });
}

/// The file of a process that died with so many locks, few of them noted.
async fn crashed(count: usize) -> (Disk, ManualClock) {
    let (disk, clock) = (Disk::new(), clock());
    let store = open(&disk, config(), &clock).await.unwrap();
    lock_all(&store, count).await;
    let crashed = Disk::holding(disk.bytes());
    let left = rows(&crashed);
    assert!(left.locks == count && left.notes < count, "{left:?}");
    (crashed, clock)
}

fn sweeping() -> RedbConfig {
    let mut config = config();
    (config.sweep, config.sweep_interval) = (true, Duration::from_millis(1));
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
