//! Which openings after a crash have to repair the file first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(unix)]
use idem_core::Outcome;
use idem_core::clock::{ManualClock, Timestamp};
use idem_core::{ErrorKind, Registry, Store};
#[cfg(unix)]
use idem_redb::RedbConfig;
use idem_redb::redb::Database;
use idem_redb::{QuickRepair, RedbStore};
use serde::Deserialize;
use serde::de::IntoDeserializer;
#[cfg(unix)]
use tokio::task::JoinSet;

#[cfg(unix)]
use crate::support::call::{acquire, complete};
use crate::support::call::{complete_keys, config, key, lock, open};
use crate::support::disk::Disk;
#[cfg(unix)]
use crate::support::process::mount;
#[cfg(unix)]
use crate::support::workload::{clock, shared};

#[tokio::test]
async fn a_crash_costs_a_repair_only_beyond_the_configured_size() {
    for (quick_repair, is_spared) in [
        (QuickRepair::Always, true),
        (QuickRepair::default(), true),
        (QuickRepair::UpTo(1), false),
        (QuickRepair::Never, false),
    ] {
        let disk = Disk::new();
        let store = opened(&disk, quick_repair).await;
        complete_keys(&store, 3).await;
        assert_eq!(!needs_repair(&disk), is_spared, "{quick_repair:?}");
    }
}

#[tokio::test]
async fn a_large_file_needs_no_repair_once_the_store_is_at_rest() {
    let disk = Disk::new();
    let store = opened(&disk, QuickRepair::UpTo(1)).await;
    complete_keys(&store, 3).await;
    for again in 0..2 {
        tokio::time::timeout(Duration::from_mins(1), async {
            while needs_repair(&disk) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap();
        // One commit is enough, and then the store is at rest.
        let before = disk.counts().changes;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(disk.counts().changes, before);
        assert!(store.remove(&key(again), false).await.unwrap());
        assert!(needs_repair(&disk));
    }
    // Without quick-repair a store at rest writes nothing.
    let disk = Disk::new();
    let store = opened(&disk, QuickRepair::Never).await;
    complete_keys(&store, 3).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(needs_repair(&disk));
}

/// Also where nothing was written since the opening.
#[tokio::test]
async fn a_store_that_was_opened_by_a_repair_needs_no_further_one_once_it_is_at_rest() {
    let disk = Disk::new();
    let store = opened(&disk, QuickRepair::UpTo(1)).await;
    complete_keys(&store, 3).await;
    let crashed = Disk::holding(disk.bytes());
    assert!(needs_repair(&crashed));
    let _again = opened(&crashed, QuickRepair::UpTo(1)).await;
    let rests = async {
        while needs_repair(&Disk::holding(crashed.bytes())) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), rests).await.expect("the file still needs a repair");
}

/// Each failed commit makes the store reopen the file, and read all of it.
#[tokio::test]
async fn a_store_at_rest_on_a_full_disk_does_not_keep_trying_to_commit() {
    let disk = Disk::new();
    let store = opened(&disk, QuickRepair::UpTo(1)).await;
    complete_keys(&store, 3).await;
    disk.change_faults(|faults, _| faults.nothing_fits = true);
    let before = disk.counts().changes;
    // The store tries once it has been at rest for a second, and must not try again every second.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tried = disk.counts().changes - before;
    disk.change_faults(|faults, _| faults.nothing_fits = false);
    assert!(tried > 0, "it never tried");
    assert!(tried <= 20, "{tried} changes of an idle store on a full disk");
    // A caller finds that there is room again.
    while lock(&store, &key(7)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A commit that finds no room makes the store reopen the file, and replays wait for that: without a repair it is
/// quick.
#[cfg(unix)]
#[test]
fn commits_on_a_nearly_full_disk_avoid_a_repair() {
    let test = "opening::quick_repair::commits_on_a_nearly_full_disk_avoid_a_repair";
    let Some(folder) = mount::inside(test, "32m") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let path = folder.join("payments.idem");
        let mut config = RedbConfig::new(&path);
        config.quick_repair = QuickRepair::UpTo(1);
        let store = RedbStore::open(config.clone()).await.unwrap();
        complete_keys(&store, 3).await;
        assert!(!needs_repair(&Disk::holding(std::fs::read(&path).unwrap())));
        let other = tempfile::tempdir().unwrap();
        config.path = other.path().join("payments.idem");
        let elsewhere = RedbStore::open(config.clone()).await.unwrap();
        complete_keys(&elsewhere, 3).await;
        assert!(needs_repair(&Disk::holding(std::fs::read(&config.path).unwrap())));
    });
}

/// Free pages in the file do not keep a write from failing that needs new space.
#[cfg(unix)]
#[test]
fn commits_on_a_nearly_full_disk_avoid_a_repair_though_the_file_has_free_pages() {
    let test =
        "opening::quick_repair::commits_on_a_nearly_full_disk_avoid_a_repair_though_the_file_has_free_pages";
    let Some(folder) = mount::inside(test, "400m") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (path, clock) = (folder.join("payments.idem"), clock());
        let mut config = RedbConfig::new(&path);
        (config.sweep, config.quick_repair) = (false, QuickRepair::UpTo(1 << 20));
        let store = RedbStore::builder(config).clock(shared(&clock)).open().await.unwrap();
        let mut callers = JoinSet::new();
        for first in 0..50 {
            let store = store.clone();
            callers.spawn(async move {
                for number in (first..2_560).step_by(50) {
                    let lease = acquire(&store, &key(number)).await;
                    complete(&store, &lease, Outcome::Value(vec![7; 120 << 10].into())).await;
                }
            });
        }
        callers.join_all().await;
        clock.advance(Duration::from_hours(48));
        while store.expire(1_000).await.unwrap().more {}
        // Longer than the interval at which the store looks at the disk.
        tokio::time::sleep(Duration::from_millis(600)).await;
        complete_keys(&store, 3).await;
        assert!(!needs_repair(&Disk::holding(std::fs::read(&path).unwrap())));
    });
}

#[tokio::test]
async fn quick_repair_is_set_by_a_size_or_by_true_and_false() {
    assert_eq!(read(true).unwrap(), QuickRepair::Always);
    assert_eq!(read(false).unwrap(), QuickRepair::Never);
    assert_eq!(read("4GiB").unwrap(), QuickRepair::UpTo(4 << 30));
    assert_eq!(read(4_096_u64).unwrap(), QuickRepair::UpTo(4_096));
    assert!(read("soon").unwrap_err().to_string().contains("quick_repair"));

    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new().with(idem_redb::DRIVER);
    for option in ["true", "false", "4GiB", "0"] {
        let uri = format!("redb:{}/{option}.idem?quick_repair={option}", folder.path().display());
        registry.open(uri).await.unwrap();
    }
    let refused = registry.open("redb:x?quick_repair=soon").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
}

fn read(written: impl IntoDeserializer<'static>) -> Result<QuickRepair, serde::de::value::Error> {
    QuickRepair::deserialize(written.into_deserializer())
}

async fn opened(disk: &Disk, quick_repair: QuickRepair) -> RedbStore {
    let mut config = config();
    config.quick_repair = quick_repair;
    open(disk, config, &ManualClock::new(Timestamp::from_micros(1))).await.unwrap()
}

/// Whether a process that opened the file as it is now would have to repair it.
fn needs_repair(disk: &Disk) -> bool {
    let repairs = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&repairs);
    let found = Disk::holding(disk.bytes()).open().unwrap();
    let mut builder = Database::builder();
    builder.set_repair_callback(move |_session| seen.store(true, Ordering::Relaxed));
    drop(builder.create_with_backend(found).unwrap());
    repairs.load(Ordering::Relaxed)
}
