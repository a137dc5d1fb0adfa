//! How far a store has come is written a moment ahead, and not with each commit: neither time nor sequences go back
//! across a crash all the same, and nothing ends early but by that moment.

use std::time::Duration;

use idem_core::{ManualClock, Store};

use crate::support::call::{acquire, at, config, key, open};
use crate::support::disk::{Disk, Failure};
use crate::support::workload::LEASE;

const NOON: u64 = 1_800_000_000;
/// How far ahead it is written.
const RESERVED: Duration = Duration::from_millis(250);

#[tokio::test]
async fn an_opening_later_than_a_moment_after_a_crash_finds_the_true_time() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let mut store = open(&disk, config(), &clock).await.unwrap();
    acquire(&store, &key(0)).await;
    for round in 0..4 {
        clock.advance(RESERVED);
        store = open(&Disk::holding(disk.bytes()), config(), &clock).await.unwrap();
        let passed = RESERVED * (round + 1);
        let record = store.get(&key(0)).await.unwrap().unwrap();
        assert_eq!(record.as_of, at(NOON) + passed);
        assert_eq!(record.lease_remaining(), Some(LEASE.saturating_sub(passed)));
    }
    store.close().await.unwrap();
}

/// Each crash finds the clock where it was, with what was reserved before it unused.
#[tokio::test]
async fn sequences_and_time_rise_across_crashes_within_what_was_reserved() {
    let mut disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let (mut sequence, mut time) = (0, at(NOON));
    for round in 0..20 {
        let store = open(&disk, config(), &clock).await.unwrap();
        for number in 0..3 {
            let key = key(3 * round + number);
            let lease = acquire(&store, &key).await;
            assert!(lease.token().sequence > sequence, "{} after {sequence}", lease.token().sequence);
            sequence = lease.token().sequence;
            let as_of = store.get(&key).await.unwrap().unwrap().as_of;
            assert!(as_of >= time, "{as_of:?} after {time:?}");
            time = as_of;
            clock.advance(Duration::from_millis(1));
        }
        disk = Disk::holding(disk.bytes());
    }
}

/// Commits within what is reserved tell nothing of the time; one beyond it does, and so does closing.
#[tokio::test]
async fn time_is_never_behind_what_was_committed_whenever_the_process_dies() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    for number in 0..40 {
        clock.advance(RESERVED / 10);
        acquire(&store, &key(number)).await;
        let now = store.get(&key(number)).await.unwrap().unwrap().as_of;
        // The wall clock counts nothing.
        let set_back = ManualClock::new(at(NOON - 3_600));
        let again = open(&Disk::holding(disk.bytes()), config(), &set_back).await.unwrap();
        let found = again.get(&key(number)).await.unwrap().unwrap().as_of;
        assert!(found >= now && found <= now + RESERVED, "{found:?} after {now:?}");
    }
    let now = store.get(&key(0)).await.unwrap().unwrap().as_of;
    store.close().await.unwrap();
    let again = open(&disk, config(), &ManualClock::new(at(NOON - 3_600))).await.unwrap();
    assert_eq!(again.get(&key(0)).await.unwrap().unwrap().as_of, now);
}

/// What a store has reserved has not passed, although its file says so when it is opened anew.
#[tokio::test]
async fn an_io_error_ends_no_lease_early() {
    let disk = Disk::new();
    let clock = ManualClock::new(at(NOON));
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    for round in 1..4_u32 {
        let opened = disk.counts().opened;
        // Each asks for more than the one before, or nothing would be written.
        let (mut asked, mut tries) = (LEASE * round, 0);
        let reopened = async {
            while disk.counts().opened == opened || store.renew(&lease, asked).await.is_err() {
                if disk.counts().opened == opened {
                    let fails = |at| Some(Failure { at, for_ever: false });
                    disk.change_faults(|faults, counts| faults.failure = fails(counts.calls + tries % 16));
                }
                (asked, tries) = (asked + Duration::from_millis(1), tries + 1);
                let _fails = store.renew(&lease, asked).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), reopened).await.expect("an error has the file reopened");
        assert_eq!(store.get(&key(0)).await.unwrap().unwrap().as_of, at(NOON));
    }
}
