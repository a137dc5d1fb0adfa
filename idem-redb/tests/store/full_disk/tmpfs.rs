//! A real file system without space, a small tmpfs.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, LockAnswer, Outcome, Store};
use idem_redb::{RedbConfig, RedbStore};

use crate::support::call::{key, lock, replay};
use crate::support::process::mount;

const TEST: &str = "full_disk::tmpfs::a_file_system_without_space_is_reported_full_and_recovered_from";

#[test]
fn a_file_system_without_space_is_reported_full_and_recovered_from() {
    let Some(folder) = mount::inside(TEST, "4m") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(run_full_and_recover(&folder));
}

/// A lock that could not be completed would mean work that has run, and runs again.
#[test]
fn each_lock_that_is_granted_as_a_disk_runs_full_can_be_completed() {
    const TEST: &str = "full_disk::tmpfs::each_lock_that_is_granted_as_a_disk_runs_full_can_be_completed";
    let Some(folder) = mount::inside(TEST, "32m") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = RedbStore::open(folder.join("payments.idem")).await.unwrap();
        let (mut kept, mut refused) = (0, 0);
        for number in 0.. {
            match lock(&store, &key(number)).await {
                Ok(LockAnswer::Acquired(lease)) => {
                    // Large and small outcomes alternate.
                    let size = if number % 2 == 0 { 16 << 10 } else { 100 };
                    let outcome = Outcome::Value(Bytes::from(vec![7; size]));
                    let done = store.complete(&lease, outcome, lease.retention()).await;
                    assert!(matches!(done, Ok(Effect::Applied)), "after {kept} outcomes: {done:?}");
                    kept += 1;
                }
                Ok(other) => panic!("key {number} is not free: {other:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                    refused += 1;
                    if refused == 500 {
                        break;
                    }
                }
            }
        }
        println!("{kept} outcomes before the disk was full");
        assert!(kept > 500);
    });
}

async fn run_full_and_recover(folder: &Path) {
    let mut config = RedbConfig::new(folder.join("payments.idem"));
    config.cache_bytes = 1 << 20;
    let store = RedbStore::open(config.clone()).await.unwrap();
    // Another program's file, which is removed later.
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();

    let mut kept = 0;
    let error = loop {
        match write(&store, kept).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_replays(&store, kept).await;
    println!("full after {kept} outcomes of 64 KiB: {error}");

    // Other programs may take the space that the store leaves for its holders.
    let rest = folder.join("rest");
    let _full = std::fs::write(&rest, vec![1; 4 << 20]).unwrap_err();
    let second = RedbStore::open(folder.join("second.idem")).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Full, "{second}");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.count(), 3, "the store that could not be made left something behind");

    std::fs::remove_file(rest).unwrap();
    std::fs::remove_file(ballast).unwrap();
    let mut more = kept + 1;
    for _ in 0..1_000 {
        match write(&store, more).await {
            Ok(()) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            }
        }
        more += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(replay(&store, &key(more)).await, outcome(more));
    assert_replays(&store, kept).await;
    store.close().await.unwrap();
    assert_replays(&RedbStore::open(config).await.unwrap(), kept).await;
}

async fn write(store: &RedbStore, number: usize) -> idem_core::Result<()> {
    match lock(store, &key(number)).await? {
        LockAnswer::Acquired(lease) => {
            store.complete(&lease, outcome(number), lease.retention()).await.map(|_| ())
        }
        other => panic!("key {number} is not free: {other:?}"),
    }
}

async fn assert_replays(store: &RedbStore, kept: usize) {
    for number in 0..kept {
        assert_eq!(replay(store, &key(number)).await, outcome(number), "key {number}");
    }
}

fn outcome(number: usize) -> Outcome {
    let mut bytes = vec![0xA5; 64 << 10];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Outcome::Value(Bytes::from(bytes))
}
