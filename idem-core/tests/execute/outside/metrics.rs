//! What a recorder gets: every documented name, and labels that are words.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::metrics::{self, Observed};
use idem_core::{ErrorKind, Execution, Fingerprint, LockAnswer, Outcome, Store, StoreExt, UnavailableReason};
use tokio::time::{sleep, timeout};

use crate::support::recorded::{counted, record};
use crate::support::{Fault, LEASE, Scripted, bob, book, encoded, key, lock, order, policy, try_book};

fn other_order() -> Fingerprint {
    Fingerprint::builder("test").part("another order").finish()
}

async fn every_end_of_an_execution(scripted: Scripted, store: Observed<Scripted>) {
    let failing = |_| async { Err::<String, _>("declined") };
    let _failed = store.execute(&key(), &order(), &policy(), failing).await.unwrap();
    let in_progress =
        |_| async { Ok::<_, ()>(matches!(book(&store, &policy(), "").await, Execution::InProgress { .. })) };
    let _executed = store.execute(&key(), &order(), &policy(), in_progress).await.unwrap();
    let _error = try_book(&store, &policy(), "replayed as another type").await;
    scripted.remove(&key(), true).await.unwrap();
    let _executed = book(&store, &policy(), "booked").await;
    let _replayed = book(&store, &policy(), "again").await;
    let _mismatch = store.execute(&key(), &other_order(), &policy(), failing).await.unwrap();
    scripted.remove(&key(), true).await.unwrap();
    scripted.fail(Operation::Complete, &[Fault::Before(ErrorKind::Corrupt)]);
    let _unknown = book(&store, &policy(), "booked").await;
    scripted.remove(&key(), true).await.unwrap();
    let taken = |_| async {
        scripted.remove(&key(), true).await.unwrap();
        let _held = lock(&scripted, &bob()).await;
        Ok::<_, ()>(())
    };
    let _effect = store.execute(&key(), &order(), &policy(), taken).await.unwrap();
    scripted.remove(&key(), true).await.unwrap();
    let streamed = |_| async { Ok::<_, ()>(Outcome::Unavailable(UnavailableReason::Streamed)) };
    let _executed = store.execute_outcome(&key(), &order(), &policy(), streamed).await.unwrap();
    let _unavailable = book(&store, &policy(), "again").await;
}

#[test]
fn each_execution_is_counted_by_how_it_ended() {
    let seen = record(every_end_of_an_execution);
    let expected = counted([
        ("outcome=error", 1),
        ("outcome=executed", 3),
        ("outcome=failed", 1),
        ("outcome=fenced", 1),
        ("outcome=fingerprint_mismatch", 1),
        ("outcome=in_progress", 1),
        ("outcome=replayed", 1),
        ("outcome=unavailable", 1),
        ("outcome=unknown", 1),
    ]);
    assert_eq!(seen.counts(metrics::EXECUTIONS), expected);
}

#[test]
fn each_answer_to_a_lock_is_counted_also_of_resent_ones() {
    let seen = record(|scripted, store| async move {
        scripted.fail(
            Operation::Lock,
            &[Fault::After(ErrorKind::Timeout), Fault::Before(ErrorKind::Unavailable)],
        );
        let _executed = book(&store, &policy(), "booked").await;
        let _replayed = book(&store, &policy(), "again").await;
        let mismatch = store.lock(&key(), &other_order(), &bob()).await.unwrap();
        assert!(matches!(mismatch, LockAnswer::FingerprintMismatch));
        scripted.remove(&key(), true).await.unwrap();
        let _held = lock(&scripted, &bob()).await;
        let _in_progress = book(&store, &policy(), "other").await;
    });
    let expected = counted([
        ("outcome=acquired", 1),
        ("outcome=completed", 1),
        ("outcome=error", 2),
        ("outcome=fingerprint_mismatch", 1),
        ("outcome=in_progress", 1),
    ]);
    assert_eq!(seen.counts(metrics::LOCKS), expected);
}

#[test]
fn wait_and_work_are_timed_apart() {
    let seen = record(|_, store| async move {
        let work = |_| async {
            sleep(Duration::from_millis(7_500)).await;
            Ok::<_, ()>("booked".to_owned())
        };
        let waiting = policy().wait(LEASE);
        let (key, order) = (key(), order());
        let first = store.execute(&key, &order, &waiting, work);
        let second = async {
            sleep(Duration::from_millis(1)).await;
            book(&store, &waiting, "other").await
        };
        let (first, second) = tokio::join!(first, second);
        assert!(matches!(first.unwrap(), Execution::Executed(_)) && matches!(second, Execution::Replayed(_)));
    });
    assert_eq!(whole(&seen.seconds(metrics::WAIT)), [0, 7]);
    assert_eq!(whole(&seen.seconds(metrics::EXECUTION)), [7]);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
fn whole(seconds: &[f64]) -> Vec<u64> {
    seconds.iter().map(|seconds| *seconds as u64).collect()
}

#[test]
fn work_that_failed_is_timed_too() {
    let seen = record(|_, store| async move {
        let work = |_| async {
            sleep(Duration::from_secs(3)).await;
            Err::<String, _>("declined")
        };
        let _failed = store.execute(&key(), &order(), &policy(), work).await.unwrap();
    });
    assert_eq!(whole(&seen.seconds(metrics::EXECUTION)), [3]);
}

#[test]
fn lost_lease_is_counted_once_by_its_reason() {
    let seen = record(|scripted, store| async move {
        // Superseded: the renewal finds it first, and the completion again.
        let taken = |_| async {
            scripted.remove(&key(), true).await.unwrap();
            let _held = lock(&scripted, &bob()).await;
            sleep(LEASE).await;
            Ok::<_, ()>(())
        };
        let _effect = store.execute(&key(), &order(), &policy(), taken).await.unwrap();
        scripted.remove(&key(), true).await.unwrap();
        // Gone: two calls on one lease.
        let removed = lock(&store, &bob()).await;
        scripted.remove(&key(), true).await.unwrap();
        for _ in 0..2 {
            let _gone = store.renew(&removed, LEASE).await.unwrap();
        }
        // Released, with a checkpoint.
        let released = lock(&store, &bob()).await;
        let _saved = store.checkpoint(&released, 1, Bytes::from_static(b"half"), LEASE).await.unwrap();
        let _released = store.release(&released).await.unwrap();
        let _lost = store.renew(&released, LEASE).await.unwrap();
    });
    let expected = counted([("reason=gone", 1), ("reason=released", 1), ("reason=superseded", 1)]);
    assert_eq!(seen.counts(metrics::LOST_LEASES), expected);
}

#[test]
fn lease_that_its_holder_ended_is_not_lost() {
    let seen = record(|_, store| async move {
        let released = lock(&store, &bob()).await;
        for _ in 0..2 {
            let _released_or_gone = store.release(&released).await.unwrap();
        }
        let completed = lock(&store, &bob()).await;
        let _applied = store.complete(&completed, encoded("kept"), LEASE).await.unwrap();
        let _completed = store.renew(&completed, LEASE).await.unwrap();
    });
    assert_eq!(seen.counts(metrics::LOST_LEASES), []);
}

#[test]
fn each_call_is_timed_and_each_failure_counted_by_operation_and_kind() {
    let seen = record(|scripted, store| async move {
        scripted.fail(Operation::Complete, &[Fault::Before(ErrorKind::Full); 2]);
        scripted.fail(Operation::Get, &[Fault::Before(ErrorKind::Corrupt)]);
        let held = lock(&store, &bob()).await;
        let _renewed = store.renew(&held, LEASE).await.unwrap();
        let _saved = store.checkpoint(&held, 1, Bytes::new(), LEASE).await.unwrap();
        for _ in 0..3 {
            let _full_then_kept = store.complete(&held, encoded("kept"), LEASE).await;
        }
        let _lost = store.release(&held).await.unwrap();
        for _ in 0..2 {
            let _corrupt_then_found = store.get(&key()).await;
        }
        assert!(store.settled(&key(), LEASE).await.unwrap());
        assert!(store.remove(&key(), true).await.unwrap());
        let _none = store.expire(10).await.unwrap();
    });
    let expected = counted([("operation=complete kind=full", 2), ("operation=get kind=corrupt", 1)]);
    assert_eq!(seen.counts(metrics::STORE_ERRORS), expected);
    assert_eq!(seen.counts(metrics::REFUSED), counted([("", 2)]));
    for (operation, calls) in [
        ("lock", 1),
        ("renew", 1),
        ("checkpoint", 1),
        ("complete", 3),
        ("release", 1),
        ("get", 2),
        ("settled", 1),
        ("remove", 1),
        ("expire", 1),
    ] {
        let times = seen.seconds(&format!("{} operation={operation}", metrics::STORE_CALLS));
        assert_eq!(times.len(), calls, "{operation}");
    }
}

/// A store that hangs answers no error, but the calls that its callers give up must be counted.
#[test]
fn call_that_was_given_up_is_counted_as_dropped() {
    let seen = record(|scripted, store| async move {
        scripted.fail_always(Operation::Lock, Fault::Silent);
        assert!(try_book(&store, &policy(), "never").await.is_err());
        scripted.heal();
        let _held = lock(&store, &bob()).await;
        // A wait that is given up is not a failed call.
        assert!(timeout(Duration::from_secs(1), store.settled(&key(), LEASE)).await.is_err());
    });
    assert_eq!(seen.counts(metrics::STORE_ERRORS), counted([("operation=lock kind=dropped", 1)]));
}

#[test]
fn expired_records_are_counted_also_where_a_store_removed_them_by_itself() {
    let seen = record(|scripted, store| async move {
        let _held = lock(&store, &bob()).await;
        sleep(bob().lease + bob().retention).await;
        assert_eq!(scripted.record(&key()), None);
        assert_eq!(store.expire(10).await.unwrap().removed, 1);
        metrics::expired(3);
    });
    assert_eq!(seen.counts(metrics::EXPIRED), counted([("", 4)]));
}

#[test]
fn documented_names_are_the_recorded_and_described_ones_and_labels_are_words() {
    let seen = record(|scripted, store| async move {
        metrics::describe();
        every_end_of_an_execution(scripted.clone(), store.clone()).await;
        scripted.fail(Operation::Expire, &[Fault::Before(ErrorKind::Full)]);
        let _refused = store.expire(1).await.unwrap_err();
        let _none = store.expire(1).await.unwrap();
        metrics::evicted(2);
    });
    let source = include_str!("../../../src/metrics/mod.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    assert_eq!(seen.names(), rows.collect::<BTreeSet<_>>());
    assert_eq!(seen.counts(metrics::EVICTED), counted([("", 2)]));
    assert_eq!(seen.undescribed(), Vec::<&str>::new());
    for key in seen.keys() {
        for label in key.split(' ').skip(1) {
            let (_, value) = label.split_once('=').unwrap();
            assert!(value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{key}");
        }
    }
}
