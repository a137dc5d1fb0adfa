//! Checkpoints are stored apart from their locks: calls that do not change a checkpoint do not write it, and a missing
//! or damaged one makes its own key `Corrupt` and no other.

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Effect, ErrorKind, Lease, LockAnswer, Store};
use idem_redb::{QuickRepair, RedbStore};
use redb::{Database, ReadableTable, TableDefinition};
use tokio::task::JoinSet;

use crate::support::call::{acquire, complete, config, key, lock, open, replay, value};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock};

const CHECKPOINTS: TableDefinition<'_, &[u8; 48], &[u8]> = TableDefinition::new("idem/checkpoints");

#[tokio::test]
async fn renewals_and_releases_do_not_write_checkpoints_again() {
    const HOLDERS: usize = 16;
    const SIZE: usize = 256 << 10;
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    let leases = checkpointed(&store, HOLDERS, SIZE).await;
    let before = disk.counts().written;
    let mut holders = JoinSet::new();
    for lease in leases {
        let store = store.clone();
        holders.spawn(async move {
            for _ in 0..4 {
                assert_eq!(store.renew(&lease, 2 * LEASE).await.unwrap(), Effect::Applied);
            }
            assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
        });
    }
    holders.join_all().await;
    let written = disk.counts().written - before;
    println!("{written} bytes written beside checkpoints of {} bytes", HOLDERS * SIZE);
    assert!(written < (HOLDERS * SIZE) as u64, "{written} bytes written");
    for number in 0..HOLDERS {
        let lease = acquire(&store, &key(number)).await;
        assert_eq!(lease.checkpoint().unwrap().progress.len(), SIZE);
    }
}

/// Each takeover is answered with a checkpoint, which is in memory until the commit.
#[tokio::test]
async fn takeovers_of_large_checkpoints_do_not_all_share_a_commit() {
    const HOLDERS: usize = 12;
    let disk = Disk::new();
    let clock = clock();
    let mut config = config();
    config.quick_repair = QuickRepair::Never;
    let store = open(&disk, config, &clock).await.unwrap();
    drop(checkpointed(&store, HOLDERS, 4 << 20).await);
    clock.advance(2 * LEASE);
    disk.stall_syncs();
    let mut callers = JoinSet::new();
    for number in 0..=HOLDERS {
        let store = store.clone();
        // One more lock, on a new key, holds the writer up until all the others wait.
        let number = (number + HOLDERS) % (HOLDERS + 1);
        callers.spawn(async move { acquire(&store, &key(number)).await });
        if number == HOLDERS {
            disk.stalled().await;
        }
    }
    tokio::task::yield_now().await;
    let before = disk.counts().syncs;
    disk.release_syncs();
    callers.join_all().await;
    let commits = disk.counts().syncs - before;
    // 48 MiB, at most 8 and one more checkpoint in a commit.
    assert!(commits > 4, "{HOLDERS} checkpoints of 4 MiB in {commits} commits");
}

/// Many takeovers after a crash are answered in many commits. Holders do not wait for all of these.
#[tokio::test]
async fn a_renewal_goes_before_takeovers_that_found_no_place_in_a_commit() {
    const HOLDERS: usize = 24;
    let disk = Disk::new();
    let clock = clock();
    let mut config = config();
    config.quick_repair = QuickRepair::Never;
    let store = open(&disk, config, &clock).await.unwrap();
    drop(checkpointed(&store, HOLDERS, 4 << 20).await);
    clock.advance(2 * LEASE);
    let holder = acquire(&store, &key(HOLDERS)).await;
    disk.stall_syncs();
    let mut callers = JoinSet::new();
    for number in 0..=HOLDERS {
        let store = store.clone();
        // One more lock, on a new key, holds the writer up until all the others wait.
        let number = if number == 0 { HOLDERS + 1 } else { number - 1 };
        callers.spawn(async move { drop(acquire(&store, &key(number)).await) });
        if number == HOLDERS + 1 {
            disk.stalled().await;
        }
    }
    tokio::task::yield_now().await;
    // Both syncs of the new key's commit. The next sync to stall is that of the first takeovers.
    disk.let_pass(2);
    disk.stalled().await;
    let renewal = tokio::spawn({
        let store = store.clone();
        async move { store.renew(&holder, LEASE).await }
    });
    tokio::task::yield_now().await;
    disk.release_syncs();
    assert_eq!(renewal.await.unwrap().unwrap(), Effect::Applied);
    let mut answered = 0;
    while callers.try_join_next().is_some() {
        answered += 1;
    }
    callers.join_all().await;
    // 96 MiB, and at most 8 and one more checkpoint in a commit.
    assert!(answered <= HOLDERS / 2, "{answered} takeovers were answered before the renewal");
}

#[tokio::test]
async fn a_damaged_checkpoint_is_corrupt_for_its_key_alone() {
    let damages: [fn(&mut Vec<u8>); 4] =
        [|bytes| bytes[20] ^= 1, |bytes| bytes[7] ^= 1, |bytes| bytes.truncate(10), |bytes| bytes.clear()];
    for (number, damage) in damages.into_iter().enumerate() {
        let (store, leases, clock) = with_damage(Some(damage)).await;
        assert_corrupt_alone(&store, leases, &clock, number).await;
    }
}

#[tokio::test]
async fn a_missing_checkpoint_is_corrupt_for_its_key_alone() {
    let (store, leases, clock) = with_damage(None).await;
    assert_corrupt_alone(&store, leases, &clock, 0).await;
}

/// The holder of key 0 does not need its checkpoint and goes on; a takeover would need it.
async fn assert_corrupt_alone(store: &RedbStore, leases: Vec<Lease>, clock: &ManualClock, damage: usize) {
    assert_eq!(store.get(&key(0)).await.unwrap_err().kind(), ErrorKind::Corrupt, "damage {damage}");
    assert!(store.get(&key(1)).await.unwrap().is_some());
    assert_eq!(store.renew(&leases[0], LEASE).await.unwrap(), Effect::Applied);
    clock.advance(LEASE);
    assert_eq!(lock(store, &key(0)).await.unwrap_err().kind(), ErrorKind::Corrupt, "damage {damage}");
    assert_eq!(acquire(store, &key(1)).await.attempt(), 2);
    if damage.is_multiple_of(2) {
        complete(store, &leases[0], value(0)).await;
        assert_eq!(replay(store, &key(0)).await, value(0));
    } else {
        assert!(store.remove(&key(0), true).await.unwrap());
        assert!(matches!(lock(store, &key(0)).await.unwrap(), LockAnswer::Acquired(_)));
    }
}

/// Keys 0 and 1 locked, with a checkpoint each. While the store is closed, the checkpoint of key 0 is damaged; without
/// `damage` it is removed.
async fn with_damage(damage: Option<fn(&mut Vec<u8>)>) -> (RedbStore, Vec<Lease>, ManualClock) {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let leases = checkpointed(&store, 2, 100).await;
    store.close().await.unwrap();
    let database = Database::builder().create_with_backend(disk.open().unwrap()).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(CHECKPOINTS).unwrap();
        let removed = table.remove(key(0).storage_key()).unwrap();
        let mut bytes = removed.unwrap().value().to_vec();
        if let Some(damage) = damage {
            damage(&mut bytes);
            table.insert(key(0).storage_key(), &bytes[..]).unwrap();
        }
        assert!(table.get(key(1).storage_key()).unwrap().is_some());
    }
    txn.commit().unwrap();
    database.close().unwrap();
    (open(&disk, config(), &clock).await.unwrap(), leases, clock)
}

async fn checkpointed(store: &RedbStore, count: usize, size: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    for number in 0..count {
        let lease = acquire(store, &key(number)).await;
        let progress = Bytes::from(vec![9; size]);
        assert_eq!(store.checkpoint(&lease, 1, progress, LEASE).await.unwrap(), Effect::Applied);
        leases.push(lease);
    }
    leases
}
