//! The store's time and sequences over the life of a file: neither goes back, whatever the wall clock does.

use std::sync::Arc;
use std::time::Duration;

use idem_core::clock::ManualClock;
use idem_core::{Effect, ErrorKind, Lease, LockAnswer, Store};
use idem_redb::RedbStore;
use redb::Database;

use crate::support::call::{acquire, at, complete, config, key, lock, open, replay, shared_config, value};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, fingerprint};

const NOON: u64 = 1_800_000_000;
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_clock_set_back_between_two_openings_does_not_stretch_a_lease() {
    let disk = Disk::new();
    let store = open(&disk, config(), &ManualClock::new(at(NOON))).await.unwrap();
    acquire(&store, &key(0)).await;
    store.close().await.unwrap();

    let hour_before = ManualClock::new(at(NOON - 3_600));
    let store = open(&disk, config(), &hour_before).await.unwrap();
    let answer = lock(&store, &key(0)).await.unwrap();
    let LockAnswer::InProgress { remaining } = answer else { panic!("{answer:?}") };
    assert!(remaining <= LEASE, "{remaining:?} are left of {LEASE:?}");
    hour_before.advance(LEASE);
    let lease = acquire(&store, &key(0)).await;
    assert_eq!(lease.attempt(), 2);
}

#[tokio::test]
async fn a_clock_set_back_between_two_openings_does_not_stretch_a_retention() {
    let disk = Disk::new();
    let store = open(&disk, config(), &ManualClock::new(at(NOON))).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    store.close().await.unwrap();

    let day_before = ManualClock::new(at(NOON - 24 * 3_600));
    let store = open(&disk, config(), &day_before).await.unwrap();
    day_before.advance(Duration::from_hours(24));
    assert!(matches!(lock(&store, &key(0)).await.unwrap(), LockAnswer::Acquired(_)));
}

#[tokio::test]
async fn a_step_of_the_clock_while_open_neither_ends_nor_stretches_a_lease() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    for wall in [NOON + 3_600, NOON - 3_600] {
        clock.set_wall(at(wall));
        let answer = lock(&store, &key(0)).await.unwrap();
        assert!(matches!(answer, LockAnswer::InProgress { remaining } if remaining == LEASE), "{answer:?}");
    }
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    clock.advance(LEASE);
    assert_eq!(acquire(&store, &key(0)).await.attempt(), 2);
}

/// While a laptop sleeps its wall clock goes on and its monotonic clock does not; then the store is restarted.
#[tokio::test]
async fn a_suspend_while_the_store_is_open_loses_no_outcome_at_the_next_opening() {
    for closed in [true, false] {
        let disk = Disk::new();
        let clock = ManualClock::new(at(NOON));
        let store = open(&disk, config(), &clock).await.unwrap();
        clock.set_wall(at(NOON + 12 * 3_600));
        let lease = acquire(&store, &key(0)).await;
        assert_eq!(store.complete(&lease, value(0), HOUR).await.unwrap(), Effect::Applied);
        let disk = if closed {
            store.close().await.unwrap();
            disk
        } else {
            Disk::holding(disk.bytes())
        };
        let store = open(&disk, config(), &ManualClock::new(at(NOON + 12 * 3_600 + 1))).await.unwrap();
        assert_eq!(replay(&store, &key(0)).await, value(0), "closed: {closed}");
    }
}

#[tokio::test]
async fn a_clock_that_is_years_ahead_is_refused_and_expires_nothing() {
    let disk = Disk::new();
    let store = open(&disk, config(), &ManualClock::new(at(NOON))).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    store.close().await.unwrap();

    let years_ahead = ManualClock::new(at(NOON + 20 * 365 * 86_400));
    let error = open(&disk, config(), &years_ahead).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("max_clock_jump"), "{error}");

    let store = open(&disk, config(), &ManualClock::new(at(NOON + 1))).await.unwrap();
    assert_eq!(replay(&store, &key(0)).await, value(0));
    store.close().await.unwrap();

    // An operator who allows so long a jump is believed.
    let mut believing = config();
    believing.max_clock_jump = HOUR * 24 * 366 * 30;
    let store = open(&disk, believing, &years_ahead).await.unwrap();
    assert!(matches!(lock(&store, &key(0)).await.unwrap(), LockAnswer::Acquired(_)));
}

/// No caller wrote for longer than `max_clock_jump`, and the process died: no clock was wrong.
#[tokio::test]
async fn an_idle_store_is_not_taken_for_one_under_a_wrong_clock() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let mut config = config();
    config.max_clock_jump = Duration::from_secs(4);
    let store = open(&disk, config.clone(), &clock).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    clock.advance(Duration::from_secs(3));
    let syncs = disk.counts().syncs;
    tokio::time::timeout(Duration::from_mins(1), async {
        while disk.counts().syncs < syncs + 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    clock.advance(Duration::from_secs(3));
    let left_behind = Disk::holding(disk.bytes());
    let store = open(&left_behind, config, &clock).await.unwrap();
    assert_eq!(replay(&store, &key(0)).await, value(0));
}

#[tokio::test]
async fn a_shared_database_is_refused_under_a_clock_that_is_years_ahead_and_left_as_it_was() {
    let disk = Disk::new();
    let database = Arc::new(Database::builder().create_with_backend(disk.open().unwrap()).unwrap());
    let share = |wall| {
        let clock = Arc::new(ManualClock::new(at(wall)));
        RedbStore::builder(shared_config()).clock(clock).with_database(Arc::clone(&database))
    };
    let store = share(NOON).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    store.close().await.unwrap();
    let error = share(NOON + 20 * 365 * 86_400).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert_eq!(replay(&share(NOON + 1).await.unwrap(), &key(0)).await, value(0));
}

/// A crash right after a commit: the high-water mark is in that commit.
#[tokio::test]
async fn the_time_of_the_last_commit_outlives_a_crash() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    clock.advance(Duration::from_secs(500));
    acquire(&store, &key(0)).await;
    let left_behind = Disk::holding(disk.bytes());

    let store = open(&left_behind, config(), &ManualClock::new(at(NOON))).await.unwrap();
    let record = store.get(&key(0)).await.unwrap().unwrap();
    assert!(record.as_of >= at(NOON + 500), "{:?}", record.as_of);
    assert_eq!(record.lease_remaining(), Some(LEASE));
}

#[tokio::test]
async fn sequences_rise_across_removal_expiry_and_opening() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let mut last = 0;
    for round in 0..4 {
        // Each opening finds the clock a day further back.
        clock.set_wall(at(NOON - round * 86_400));
        let store = open(&disk, config(), &clock).await.unwrap();
        for end in [End::Release, End::Remove, End::Expire] {
            let lease = acquire(&store, &key(0)).await;
            let sequence = lease.token().sequence;
            assert!(sequence > last, "round {round}, {end:?}: {sequence} after {last}");
            last = sequence;
            end_it(&store, &clock, &lease, end).await;
        }
        store.close().await.unwrap();
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Release,
    Remove,
    Expire,
}

async fn end_it(store: &RedbStore, clock: &ManualClock, lease: &Lease, end: End) {
    match end {
        End::Release => assert_eq!(store.release(lease).await.unwrap(), Effect::Applied),
        End::Remove => assert!(store.remove(lease.key(), true).await.unwrap()),
        End::Expire => {
            clock.advance(Duration::from_hours(25));
            assert_eq!(store.expire(10).await.unwrap().removed, 1);
        }
    }
}

/// An outcome is replayed by a store that opens the file later.
#[tokio::test]
async fn an_outcome_outlives_its_store() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    store.close().await.unwrap();
    clock.advance(Duration::from_hours(23));
    let store = open(&disk, config(), &clock).await.unwrap();
    assert_eq!(replay(&store, &key(0)).await, value(0));
    clock.advance(Duration::from_hours(1));
    assert!(matches!(lock(&store, &key(0)).await.unwrap(), LockAnswer::Acquired(_)));
}

#[tokio::test]
async fn a_completion_can_be_peeked_until_it_expires() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    assert_eq!(store.peek(&key(0), &fingerprint()), None);
    complete(&store, &lease, value(0)).await;
    let peeked = store.peek(&key(0), &fingerprint()).map(|completion| completion.outcome);
    assert_eq!(peeked, Some(value(0)));
    clock.advance(Duration::from_hours(24) * 365);
    assert_eq!(store.peek(&key(0), &fingerprint()), None);
}
