//! One call to the disk fails, or all do for a while: the store answers errors, opens its database again by
//! itself, and has lost nothing that it acknowledged.

use std::time::Duration;

use idem_core::{ErrorKind, LockAnswer, Outcome, Result, Store};

use crate::support::call::{
    acquire, assert_replays, complete, complete_keys, config, key, lock, open, value,
};
use crate::support::disk::{Disk, Failure};
use crate::support::history::History;
use crate::support::judge::{self, Verdict};
use crate::support::rng::Rng;
use crate::support::settle;
use crate::support::workload::{self, AfterError, clock};

/// Well past the last call that a store makes in its first few commits.
const CALLS: u64 = 400;

/// Each call to the disk fails in turn, while callers send again what was not answered.
#[tokio::test]
async fn nothing_is_lost_whichever_call_fails() {
    let mut verdict = Verdict::default();
    let (mut met, mut errors, mut reopened) = (0, 0, 0);
    for at in 0..CALLS {
        let disk = Disk::new();
        let clock = clock();
        let store = open(&disk, config(), &clock).await.unwrap();
        fail(&disk, at, false);
        let history = History::new(8, 2);
        let mut rng = Rng::new(at);
        let seen = workload::run(&store, &history, &clock, &mut rng, (3, 24), AfterError::Resend).await;
        assert!(seen.iter().all(|error| error.kind() == ErrorKind::Unavailable), "call {at}: {seen:?}");
        met += usize::from(!seen.is_empty());
        errors += seen.len();
        reopened += disk.counts().opened - 1;
        disk.change_faults(|faults, _| faults.failure = None);
        verdict.add(judge::read(&store, &history, &clock).await);
        verdict.add(settle::settle(&store, &history, &clock).await);
        store.close().await.unwrap();
        verdict.add(settle::rows(&disk, &history));
        assert!(verdict.is_clean(), "error at call {at}: {verdict:#?}");
    }
    println!(
        "I/O error at {CALLS} calls in turn: {met} reached callers, as {errors} errors; reopened {reopened} times; \
         {verdict}"
    );
    assert!(met > 0 && reopened > 0, "no error reached a caller");
}

/// Every call is `Unavailable` while the disk fails, and the next one succeeds once the disk works again, without a
/// restart.
#[tokio::test]
async fn calls_are_unavailable_until_the_disk_is_mended() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    complete_keys(&store, 3).await;
    let lease = acquire(&store, &key(3)).await;
    let broken_at = fail(&disk, 0, true);
    let complete_again = async || store.complete(&lease, value(3), lease.retention()).await;
    let mut refused = 0;
    // Until the store has tried a few times to open its database again.
    while disk.counts().calls < broken_at + 5 {
        assert_eq!(complete_again().await.unwrap_err().kind(), ErrorKind::Unavailable);
        refused += 1;
        match lock(&store, &key(0)).await {
            // The cache may still answer, until the store notices the failure.
            Ok(LockAnswer::Completed(replay)) => assert_eq!(replay.outcome, value(0)),
            Ok(other) => panic!("completed, and now {other:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    disk.change_faults(|faults, _| faults.failure = None);
    let applied = until_answered(complete_again).await;
    println!("{refused} calls were refused while the disk failed, then {applied:?}");
    assert_replays(&store, 4).await;
    store.close().await.unwrap();
    let store = open(&disk, config(), &clock).await.unwrap();
    assert_replays(&store, 4).await;
}

/// redb refuses everything after a failed read as well, so replays alone must make the store reopen its database.
#[tokio::test]
async fn a_failed_read_is_recovered_from_without_a_write() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    // More than the cache holds, so that some replay reads from the disk.
    let large = Outcome::Value(vec![7; 64 << 10].into());
    for number in 0..40 {
        let lease = acquire(&store, &key(number)).await;
        complete(&store, &lease, large.clone()).await;
    }
    fail(&disk, 0, false);
    let mut refused = 0;
    for number in 0..40 {
        refused += usize::from(lock(&store, &key(number)).await.is_err());
    }
    assert!(refused > 0, "no replay read from the disk");
    for number in 0..40 {
        match until_answered(async || lock(&store, &key(number)).await).await {
            LockAnswer::Completed(replay) => assert_eq!(replay.outcome, large),
            other => panic!("key {number} was completed, and now {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_close_that_fails_says_so_and_loses_nothing() {
    let mut failed = 0;
    for at in 0..12 {
        let disk = Disk::new();
        let clock = clock();
        let store = open(&disk, config(), &clock).await.unwrap();
        complete_keys(&store, 3).await;
        let fails_at = fail(&disk, at, false);
        let closed = store.close().await;
        if disk.counts().calls >= fails_at {
            failed += 1;
            let error = closed.expect_err("the error was not reported");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "call {at}: {error}");
        }
        disk.change_faults(|faults, _| faults.failure = None);
        assert_eq!(lock(&store, &key(0)).await.unwrap_err().kind(), ErrorKind::Closed);
        let store = open(&disk, config(), &clock).await.unwrap();
        assert_replays(&store, 3).await;
    }
    assert!(failed > 0, "no close failed");
}

/// On Linux a failed sync marks the pages as clean: the cache still shows them, the next sync skips them, and a power
/// cut loses them. Two-phase commits do not rely on such pages, with `quick_repair` and without.
#[tokio::test]
async fn nothing_is_lost_to_a_failed_sync_that_dropped_its_pages() {
    let mut verdict = Verdict::default();
    let mut forgotten = 0;
    for at in 0..CALLS {
        let disk = Disk::new();
        let clock = clock();
        let mut config = config();
        config.quick_repair = (at % 2 == 0).into();
        let store = open(&disk, config.clone(), &clock).await.unwrap();
        let fails_at = fail(&disk, at, false);
        disk.change_faults(|faults, _| faults.failed_sync_forgets = true);
        let history = History::new(8, 2);
        let mut rng = Rng::new(at);
        workload::run(&store, &history, &clock, &mut rng, (3, 24), AfterError::Resend).await;
        forgotten += usize::from(disk.counts().calls >= fails_at);
        let disk = disk.after_power_cut(&mut rng);
        let store = open(&disk, config, &clock).await.unwrap();
        verdict.add(judge::read(&store, &history, &clock).await);
        verdict.add(settle::settle(&store, &history, &clock).await);
        store.close().await.unwrap();
        verdict.add(settle::rows(&disk, &history));
        assert!(verdict.is_clean(), "error at call {at}: {verdict:#?}");
    }
    println!("{forgotten} failed calls, each followed by a power cut: {verdict}");
    assert!(forgotten > 0, "no call failed");
}

/// Makes the disk fail after `in_calls` more calls; returns the number of the call that fails.
fn fail(disk: &Disk, in_calls: u64, for_ever: bool) -> u64 {
    let at = disk.counts().calls + 1 + in_calls;
    disk.change_faults(|faults, _| faults.failure = Some(Failure { at, for_ever }));
    at
}

/// Sends a call again while the store is `Unavailable`, as callers do.
async fn until_answered<T>(call: impl AsyncFn() -> Result<T>) -> T {
    for _ in 0..5_000 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("still unavailable after 5,000 calls");
}
