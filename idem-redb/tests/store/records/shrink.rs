//! A file whose records have expired gives its space back by itself, and callers notice no more than a delay.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Effect, Outcome, Store};
use idem_redb::{RedbConfig, RedbStore, Transacted};
use redb::TableDefinition;
use tokio::task::JoinSet;

use crate::support::call::{acquire, assert_replays, complete, complete_keys, key};
use crate::support::workload::{clock, shared};

const MIB: u64 = 1 << 20;
const RETENTION: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_file_shrinks_once_its_records_have_expired() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("payments.idem");
    let store = open(&path, &clock).await;
    complete_keys(&store, 3).await;
    fill(&store, 1_000).await;
    let full = length(&path);
    assert!(full > 64 * MIB, "{full}");
    let stop = Arc::new(AtomicBool::new(false));
    let replays = tokio::spawn({
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                assert_replays(&store, 3).await;
                tokio::task::yield_now().await;
            }
        }
    });
    clock.advance(2 * RETENTION);
    tokio::time::timeout(Duration::from_mins(2), async {
        while length(&path) > full / 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    replays.await.unwrap();
    complete(&store, &acquire(&store, &key(10)).await, Outcome::Value(Bytes::new())).await;
    store.close().await.unwrap();
    assert_replays(&open(&path, &clock).await, 3).await;
}

/// The store still knows all that the file holds.
#[tokio::test]
async fn a_closure_that_makes_no_table_does_not_keep_the_file_from_shrinking() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("payments.idem");
    let store = open(&path, &clock).await;
    let lease = acquire(&store, &key(0)).await;
    let done: Transacted<()> =
        store.complete_with(&lease, |_| Ok(Outcome::Value(Bytes::new()))).await.unwrap();
    assert_eq!(done, Transacted::Applied);
    fill(&store, 1_000).await;
    let full = length(&path);
    clock.advance(2 * RETENTION);
    tokio::time::timeout(Duration::from_mins(2), async {
        while length(&path) > full / 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
}

/// The store does not know how large those tables are, and so how long it would take to move them.
#[tokio::test]
async fn a_file_with_tables_of_the_application_is_not_compacted() {
    const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("payments.idem");
    let store = open(&path, &clock).await;
    let lease = acquire(&store, &key(0)).await;
    let done = store
        .complete_with(&lease, |txn| {
            txn.open_table(ROWS)?.insert(1, 1)?;
            Ok::<_, redb::Error>(Outcome::Value(Bytes::new()))
        })
        .await
        .unwrap();
    assert!(matches!(done, Transacted::Applied), "{done:?}");
    fill(&store, 1_000).await;
    let full = length(&path);
    clock.advance(2 * RETENTION);
    while store.stats().await.unwrap().completed > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Long enough for the store to come to rest and compact the file, if it did so.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(length(&path) > full / 4);
}

async fn open(path: &Path, clock: &ManualClock) -> RedbStore {
    let mut config = RedbConfig::new(path);
    config.sweep_interval = Duration::from_millis(10);
    RedbStore::builder(config).clock(shared(clock)).open().await.unwrap()
}

/// Completes `count` keys with 120 KiB each, to be kept for [`RETENTION`].
async fn fill(store: &RedbStore, count: usize) {
    let mut callers = JoinSet::new();
    for first in 0..50 {
        let store = store.clone();
        callers.spawn(async move {
            for number in (first..count).step_by(50) {
                let lease = acquire(&store, &key(1_000 + number)).await;
                let value = Outcome::Value(Bytes::from(vec![7; 120 << 10]));
                assert_eq!(store.complete(&lease, value, RETENTION).await.unwrap(), Effect::Applied);
            }
        });
    }
    callers.join_all().await;
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}
