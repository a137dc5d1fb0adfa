//! Calls while the file is compacted: they wait for its end, within `call_timeout`.

use std::time::Duration;

use idem_core::{ErrorKind, Store};
use idem_redb::RedbStore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::call::{complete_keys, config, key, lock, open};
use crate::support::disk::Disk;
use crate::support::workload::clock;

/// Starts a compaction that hangs in a sync.
async fn compacting(disk: &Disk, store: &RedbStore) -> JoinHandle<idem_core::Result<bool>> {
    complete_keys(store, 3).await;
    disk.stall_syncs();
    let store = store.clone();
    let compaction = tokio::spawn(async move { store.compact().await });
    disk.stalled().await;
    compaction
}

#[tokio::test]
async fn an_expiry_waits_for_the_end_of_a_compaction() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    let compaction = compacting(&disk, &store).await;
    let mut expiry = Box::pin(store.expire(10));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut expiry).await;
    assert!(early.is_err(), "{early:?}");
    disk.release_syncs();
    compaction.await.unwrap().unwrap();
    assert_eq!(expiry.await.unwrap().removed, 0);
}

/// The time that the read before the lock waited for the compaction counts as part of the call.
#[tokio::test]
async fn a_lock_that_waits_for_a_compaction_ends_within_its_call_timeout() {
    const CALL: Duration = Duration::from_secs(4);
    let disk = Disk::new();
    let mut config = config();
    config.call_timeout = CALL;
    let store = open(&disk, config, &clock()).await.unwrap();
    let mut compaction = compacting(&disk, &store).await;
    let begun = Instant::now();
    let locking = tokio::spawn({
        let store = store.clone();
        async move { lock(&store, &key(77)).await }
    });
    tokio::time::sleep(CALL * 3 / 4).await;
    // The compaction ends, and then the disk hangs.
    loop {
        tokio::select! {
            _ = &mut compaction => break,
            () = tokio::time::sleep(Duration::from_millis(1)) => disk.let_pass(1),
        }
    }
    let error = locking.await.unwrap().unwrap_err();
    let elapsed = begun.elapsed();
    disk.release_syncs();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(elapsed < CALL * 3 / 2, "{elapsed:?}");
}
