//! Calls that share a commit with a call that finds no room: they are tried again without it.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, Lease, LockAnswer, Outcome, Store};
use idem_redb::RedbStore;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::call::{acquire, complete, config, key, lock, open};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock};

/// Leaves space for small writes and none for large ones, and stalls the writer in a commit. All calls that are made
/// until [`Disk::release_syncs`] share the next one.
async fn share_a_commit(disk: &Disk, store: &RedbStore) -> JoinHandle<idem_core::Result<LockAnswer>> {
    let used = disk.used_blocks();
    disk.change_faults(|faults, _| faults.space = Some(used + 60));
    disk.stall_syncs();
    let store = store.clone();
    let first = tokio::spawn(async move { lock(&store, &key(10_000)).await });
    disk.stalled().await;
    first
}

fn outcome(bytes: usize) -> Outcome {
    Outcome::Value(vec![0x5A; bytes].into())
}

async fn leases(store: &RedbStore, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    for number in 0..count {
        leases.push(acquire(store, &key(number)).await);
    }
    leases
}

fn renew_all(store: &RedbStore, leases: Vec<Lease>) -> JoinSet<idem_core::Result<Effect>> {
    let mut renewals = JoinSet::new();
    for lease in leases {
        let store = store.clone();
        renewals.spawn(async move { store.renew(&lease, LEASE).await });
    }
    renewals
}

async fn assert_applied(renewals: JoinSet<idem_core::Result<Effect>>) {
    for renewed in renewals.join_all().await {
        assert_eq!(renewed.unwrap(), Effect::Applied);
    }
}

#[tokio::test]
async fn renewals_that_share_a_commit_with_a_large_outcome_are_applied() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    let leases = leases(&store, 20).await;
    let large_one = acquire(&store, &key(20)).await;
    let first = share_a_commit(&disk, &store).await;
    let completion = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&large_one, outcome(4 << 20), large_one.retention()).await }
    });
    let renewals = renew_all(&store, leases);
    tokio::task::yield_now().await;
    disk.release_syncs();
    assert!(matches!(first.await.unwrap().unwrap(), LockAnswer::Acquired(_)));
    assert_eq!(completion.await.unwrap().unwrap_err().kind(), ErrorKind::Full);
    assert_applied(renewals).await;
}

#[tokio::test]
async fn an_expiry_that_shares_a_commit_with_a_large_outcome_is_applied() {
    const KEPT: Duration = Duration::from_millis(1);
    let (disk, time) = (Disk::new(), clock());
    let store = open(&disk, config(), &time).await.unwrap();
    for lease in leases(&store, 20).await {
        assert_eq!(store.complete(&lease, outcome(100), KEPT).await.unwrap(), Effect::Applied);
    }
    time.advance(Duration::from_mins(10));
    let large_one = acquire(&store, &key(20)).await;
    complete(&store, &acquire(&store, &key(21)).await, outcome(100)).await;
    let first = share_a_commit(&disk, &store).await;
    let completion = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&large_one, outcome(4 << 20), large_one.retention()).await }
    });
    let expiry = tokio::spawn({
        let store = store.clone();
        async move { store.expire(100).await }
    });
    // Expired records are looked up on another thread.
    tokio::time::sleep(Duration::from_millis(300)).await;
    disk.release_syncs();
    let _locked = first.await.unwrap();
    assert_eq!(completion.await.unwrap().unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(expiry.await.unwrap().unwrap().removed, 20);
}
