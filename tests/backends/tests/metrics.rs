//! Metrics that stores count outside of any call. There is a single test because a process has one recorder, and the
//! stores count on other threads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use idem_core::metrics::{EVICTED, EXPIRED};
use idem_core::{Claim, Effect, Fingerprint, Key, LockAnswer, Outcome, Owner, Scope, Store};
use idem_moka::{MokaConfig, MokaStore, WhenFull};
use idem_redb::{RedbConfig, RedbStore};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::sleep;

async fn complete(store: &dyn Store, name: &str, retention: Duration) {
    let key = Key::new(&Scope::shared(), name).unwrap();
    let fingerprint = Fingerprint::builder("test").finish();
    let claim = Claim { owner: Owner::random().unwrap(), lease: retention, retention };
    let LockAnswer::Acquired(lease) = store.lock(&key, &fingerprint, &claim).await.unwrap() else {
        panic!("{name} is held")
    };
    let outcome = Outcome::Value(Bytes::from(vec![7; 1_000]));
    assert_eq!(store.complete(&lease, outcome, retention).await.unwrap(), Effect::Applied);
}

/// Waits until `name` has been counted `least` times. A snapshot resets the counters, so their values are summed.
async fn counted(snapshotter: &Snapshotter, name: &str, least: u64) -> u64 {
    let mut seen = 0;
    let wait = async {
        while seen < least {
            for (key, _, _, value) in snapshotter.snapshot().into_vec() {
                if let (true, DebugValue::Counter(count)) = (key.key().name() == name, value) {
                    seen += count;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(20), wait).await;
    seen
}

#[tokio::test]
async fn records_that_stores_remove_by_themselves_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let brief = Duration::from_millis(50);

    // redb's sweeper.
    let folder = tempfile::tempdir().unwrap();
    let mut config = RedbConfig::new(folder.path().join("swept.idem"));
    config.sweep_interval = brief;
    let store = RedbStore::open(config).await.unwrap();
    for number in 0..10 {
        complete(&store, &format!("swept {number}"), brief).await;
    }
    assert_eq!(counted(&snapshotter, EXPIRED, 10).await, 10);
    store.close().await.unwrap();

    // Expired records that later completions in idem-moka remove.
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    for number in 0..64 {
        complete(&store, &format!("gone {number}"), brief).await;
    }
    sleep(brief * 2).await;
    // Enough for every shard to get some.
    for number in 0..4_096 {
        complete(&store, &format!("next {number}"), Duration::from_mins(1)).await;
    }
    assert_eq!(counted(&snapshotter, EXPIRED, 64).await, 64);

    // Outcomes evicted to make room for others.
    let mut config = MokaConfig::default();
    (config.max_bytes, config.max_entries, config.max_outcome) = (1 << 20, 1_000, 1 << 16);
    config.when_full = WhenFull::Evict;
    let store = MokaStore::new(config).unwrap();
    for number in 0..4_000 {
        complete(&store, &format!("many {number}"), Duration::from_mins(1)).await;
    }
    let evicted = store.stats().evicted;
    assert!(evicted > 1_000, "{evicted}");
    assert_eq!(counted(&snapshotter, EVICTED, evicted).await, evicted);
}
