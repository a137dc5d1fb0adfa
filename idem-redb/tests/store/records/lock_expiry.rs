//! The expiry index of unfinished locks: the store's own work does not grow with their number, and each lock is removed
//! when its time is over, however often it was renewed.

use std::time::Duration;

use bytes::Bytes;
use idem_core::clock::ManualClock;
use idem_core::{Effect, Expired, Store};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::task::JoinSet;

use crate::support::call::{acquire, complete, config, key, open, short_lock, value};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock};

const LOCKS: usize = 4_000;
const CHECKPOINT: usize = 2_048;
/// How many bytes a scan of all locks would read, at least.
const ALL: u64 = (LOCKS * CHECKPOINT) as u64;

#[tokio::test]
async fn an_idle_store_does_not_read_its_unfinished_locks() {
    let (disk, clock) = unfinished_locks().await;
    let mut config = config();
    (config.sweep, config.sweep_interval) = (true, Duration::from_millis(1));
    let store = open(&disk, config, &clock).await.unwrap();
    let before = disk.counts().read;
    // A single scan of all locks would read too much. Outcomes that expire show that the sweeper is at work.
    for number in 0..3 {
        let lease = acquire(&store, &key(2 * LOCKS + number)).await;
        assert_eq!(store.complete(&lease, value(0), LEASE).await.unwrap(), Effect::Applied);
        clock.advance(2 * LEASE);
        while store.stats().await.unwrap().completed > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let read = disk.counts().read - before;
    println!("idle: {read} bytes read");
    assert!(read < ALL / 8, "{read} bytes read");
}

/// Compared with what redb itself reads, which in a debug build is every page.
#[tokio::test]
async fn an_opening_does_not_read_the_unfinished_locks() {
    let (closed, clock) = unfinished_locks().await;
    let used = Disk::holding(closed.bytes());
    let store = open(&used, config(), &clock).await.unwrap();
    acquire(&store, &key(LOCKS)).await;
    let crashed = Disk::holding(used.bytes());
    for (disk, how) in [(closed, "closed"), (crashed, "after a crash")] {
        let bare = Disk::holding(disk.bytes());
        Database::builder().set_cache_size(1 << 20).create_with_backend(bare.open().unwrap()).unwrap();
        open(&disk, config(), &clock).await.unwrap();
        let (read, by_redb) = (disk.counts().read, bare.counts().read);
        println!("opening a file that was left {how}: {read} bytes read, {by_redb} by redb alone");
        assert!(read < by_redb + ALL / 8, "{how}: {read} bytes read, {by_redb} by redb alone");
    }
}

#[tokio::test]
async fn an_expiry_reads_expired_records_and_not_all_locks() {
    let (disk, clock) = unfinished_locks().await;
    let store = open(&disk, config(), &clock).await.unwrap();
    short_lock(&store, LOCKS).await;
    clock.advance(2 * LEASE);
    let before = disk.counts().read;
    assert_eq!(store.expire(1).await.unwrap(), Expired { removed: 1, more: false });
    assert_eq!(store.expire(1).await.unwrap(), Expired { removed: 0, more: false });
    let read = disk.counts().read - before;
    println!("expire: {read} bytes read");
    assert!(read < ALL / 8, "{read} bytes read");
}

#[tokio::test]
async fn a_renewed_lock_is_kept_and_expires_in_the_end() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = short_lock(&store, 0).await;
    assert_eq!(
        store.checkpoint(&lease, 1, Bytes::from_static(b"half"), LEASE).await.unwrap(),
        Effect::Applied
    );
    for _ in 0..10 {
        clock.advance(LEASE / 2);
        assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
        assert_eq!(store.expire(10).await.unwrap(), Expired { removed: 0, more: false });
    }
    clock.advance((2 * LEASE).saturating_sub(Duration::from_micros(1)));
    assert_eq!(store.expire(10).await.unwrap(), Expired { removed: 0, more: false });
    let record = store.get(&key(0)).await.unwrap().unwrap();
    assert_eq!(record.checkpoint().unwrap().progress, Bytes::from_static(b"half"));
    clock.advance(Duration::from_micros(1));
    assert_eq!(store.expire(10).await.unwrap(), Expired { removed: 1, more: false });
    store.close().await.unwrap();
    assert_eq!(left(&disk), Left::default());
}

/// Its retention counts from the release, so it expires earlier than it would have counted from the end of its lease.
#[tokio::test]
async fn a_lock_released_with_a_checkpoint_expires_when_its_retention_is_over() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = short_lock(&store, 0).await;
    assert_eq!(
        store.checkpoint(&lease, 1, Bytes::from_static(b"half"), LEASE).await.unwrap(),
        Effect::Applied
    );
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    clock.advance(LEASE.saturating_sub(Duration::from_micros(1)));
    assert_eq!(store.expire(10).await.unwrap(), Expired { removed: 0, more: false });
    clock.advance(Duration::from_micros(1));
    assert_eq!(store.expire(10).await.unwrap(), Expired { removed: 1, more: false });
    store.close().await.unwrap();
    assert_eq!(left(&disk), Left::default());
}

#[tokio::test]
async fn nothing_is_left_of_locks_however_they_ended() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    for number in 0..40 {
        let lease = short_lock(&store, number).await;
        if number % 2 == 0 {
            let progress = Bytes::from(vec![7; number]);
            assert_eq!(store.checkpoint(&lease, 1, progress, LEASE).await.unwrap(), Effect::Applied);
        }
        match number % 5 {
            0 => complete(&store, &lease, value(number)).await,
            1 => assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied),
            2 => assert!(store.remove(lease.key(), true).await.unwrap()),
            3 => assert_eq!(store.renew(&lease, 3 * LEASE).await.unwrap(), Effect::Applied),
            _ => {}
        }
    }
    clock.advance(2 * LEASE);
    // Some expired keys are locked anew before a sweep has removed them, and abandoned again.
    for number in [4, 14, 19] {
        short_lock(&store, number).await;
    }
    while store.expire(3).await.unwrap().more {}
    clock.advance(4 * LEASE);
    while store.expire(3).await.unwrap().more {}
    store.close().await.unwrap();
    assert_eq!(left(&disk), Left::default());
}

/// A closed file with locks of a long retention, each with a checkpoint.
async fn unfinished_locks() -> (Disk, ManualClock) {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let store = store.clone();
        callers.spawn(async move {
            for number in (caller..LOCKS).step_by(50) {
                let lease = acquire(&store, &key(number)).await;
                let progress = Bytes::from(vec![5; CHECKPOINT]);
                assert_eq!(store.checkpoint(&lease, 1, progress, LEASE).await.unwrap(), Effect::Applied);
            }
        });
    }
    callers.join_all().await;
    store.close().await.unwrap();
    (Disk::holding(disk.bytes()), clock)
}

/// What is left of locks in the tables of a closed file, without the high-water mark.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    locks: usize,
    checkpoints: usize,
    notes: usize,
}

fn left(disk: &Disk) -> Left {
    let bytes = TableDefinition::<&[u8; 48], &[u8]>::new;
    let copy = Disk::holding(disk.bytes());
    let database = Database::builder().create_with_backend(copy.open().unwrap()).unwrap();
    let txn = database.begin_read().unwrap();
    let locks = txn.open_table(bytes("idem/locks")).unwrap();
    let is_note = |key: [u8; 48]| key[..16] == [0; 16];
    let (notes, locks): (Vec<_>, Vec<_>) =
        locks.iter().unwrap().map(|entry| *entry.unwrap().0.value()).partition(|key| is_note(*key));
    let checkpoints = txn.open_table(bytes("idem/checkpoints")).unwrap().iter().unwrap().count();
    Left { locks: locks.len(), checkpoints, notes: notes.len() - 1 }
}
