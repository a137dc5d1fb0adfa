//! Answers that come late: work begins only under a live lease, and a call is not given up while the store may still
//! answer it.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, Lease, Policy, Store, StoreExt};
use tokio::time::{Instant, sleep};

use crate::support::{Fault, LEASE, RETENTION, Scripted, bob, book, key, lock, order, policy, try_book};

/// Work that returns how much is left of its lease.
async fn remaining(lease: Lease) -> Result<Duration, ()> {
    Ok(lease.remaining())
}

#[tokio::test(start_paused = true)]
async fn lease_that_is_half_over_is_renewed_before_the_work_begins() {
    for (late, renewals) in [(LEASE / 2, 0), (LEASE / 2 + Duration::from_secs(1), 1)] {
        let store = Scripted::new();
        store.fail(Operation::Lock, &[Fault::Late(late)]);
        let policy = policy().resend_for(LEASE);
        let execution = store.execute(&key(), &order(), &policy, remaining).await.unwrap();
        let Execution::Executed(remaining) = execution else { panic!("{execution:?}") };
        assert!(remaining >= LEASE / 2, "{remaining:?} of a lease whose answer took {late:?}");
        assert_eq!(store.count(Operation::Renew), renewals, "{late:?}");
    }
}

/// The whole lease has passed before its answer arrives: another caller may hold the key by now.
#[tokio::test(start_paused = true)]
async fn work_never_begins_under_a_lease_that_another_took_over() {
    let store = Scripted::new();
    store.fail(Operation::Lock, &[Fault::Late(LEASE * 3)]);
    let other = store.clone();
    tokio::spawn(async move {
        sleep(LEASE * 2 + LEASE / 2).await;
        let _held = lock(&other, &bob()).await;
    });
    let policy = policy().resend_for(LEASE * 10);
    let execution = book(&store, &policy, "mine").await;
    assert!(matches!(execution, Execution::InProgress { .. }), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().token.owner, bob().owner);
}

#[tokio::test(start_paused = true)]
async fn lease_that_nobody_took_over_meanwhile_is_renewed_and_the_work_runs_once() {
    let store = Scripted::new();
    store.fail(Operation::Lock, &[Fault::Late(LEASE * 3)]);
    let policy = policy().resend_for(LEASE * 10);
    let execution = store.execute(&key(), &order(), &policy, remaining).await.unwrap();
    assert!(matches!(execution, Execution::Executed(LEASE)), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().attempt, 1);
}

/// A renewal's answer may come as late as the lock's.
#[tokio::test(start_paused = true)]
async fn renewal_that_is_answered_after_its_lease_is_sent_again() {
    let store = Scripted::new();
    store.fail(Operation::Lock, &[Fault::Late(LEASE * 2)]);
    store.fail(Operation::Renew, &[Fault::Late(LEASE * 2)]);
    let policy = policy().resend_for(LEASE * 10);
    let execution = store.execute(&key(), &order(), &policy, remaining).await.unwrap();
    assert!(matches!(execution, Execution::Executed(LEASE)), "{execution:?}");
    assert_eq!(store.count(Operation::Renew), 2);
}

#[tokio::test(start_paused = true)]
async fn store_that_always_answers_after_the_lease_is_given_up_and_nothing_runs() {
    let store = Scripted::new();
    store.fail_always(Operation::Lock, Fault::Late(LEASE * 2));
    store.fail_always(Operation::Renew, Fault::Late(LEASE * 2));
    let error = try_book(&store, &policy().resend_for(LEASE * 10), "never").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Operation::Lock));
    assert_eq!(store.record(&key()), None, "the lease that nobody works under is released");
}

/// The time spent waiting for another caller does not count as slowness of the store: a lease that was lost
/// meanwhile is answered `InProgress`, not `Timeout`.
#[tokio::test(start_paused = true)]
async fn lease_that_is_lost_before_the_work_begins_is_no_timeout_after_a_long_wait() {
    let store = Scripted::new();
    let first = lock(&store, &bob()).await;
    let other = store.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(25)).await;
        other.fail(Operation::Lock, &[Fault::Late(Duration::from_secs(5))]);
        let _released = other.release(&first).await;
        // While the answer to the waiting caller's `lock` is on its way.
        sleep(Duration::from_secs(4)).await;
        let _removed = other.remove(&key(), true).await;
        let _held = lock(&other, &bob()).await;
    });
    let policy = Policy::new(Duration::from_secs(6), RETENTION).wait(Duration::from_secs(26));
    let execution = try_book(&store, &policy, "mine").await.unwrap();
    assert!(matches!(execution, Execution::InProgress { .. }), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().token.owner, bob().owner);
}

/// Locks and renewals before the work share one time limit, so a caller learns in time that the store is too slow.
#[tokio::test(start_paused = true)]
async fn calls_before_the_work_share_one_time_for_resending() {
    const LIMIT: Duration = Duration::from_secs(10);
    let late = |seconds| Fault::Late(Duration::from_secs(seconds));
    for (locks, renewals) in [
        (vec![late(9)], vec![late(9); 3]),
        (vec![late(9)], vec![Fault::Silent; 3]),
        (vec![late(4), late(4), late(4)], vec![late(4); 3]),
    ] {
        let store = Scripted::new();
        store.fail(Operation::Lock, &locks);
        store.fail(Operation::Renew, &renewals);
        let policy = Policy::new(Duration::from_secs(3), RETENTION).resend_for(LIMIT);
        let begun = Instant::now();
        let error = try_book(&store, &policy, "never").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(begun.elapsed() <= LIMIT, "{:?} for {locks:?}, {renewals:?}", begun.elapsed());
        assert_eq!(store.record(&key()), None, "the lease that nobody works under is released");
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_that_fails_before_the_work_begins_is_the_answer_and_the_lease_is_released() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Full, ErrorKind::Closed] {
        let store = Scripted::new();
        store.fail(Operation::Lock, &[Fault::Late(LEASE)]);
        store.fail_always(Operation::Renew, Fault::Before(kind));
        let error = try_book(&store, &policy().resend_for(LEASE * 2), "never").await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(store.count(Operation::Release), 1);
    }
}

/// The store's own limit is 10 s, and it stalls for 11 s: the first call times out, and the second one is answered.
#[tokio::test(start_paused = true)]
async fn completion_that_the_store_timed_out_is_sent_again_within_the_defaults() {
    let store = Scripted::with_call_timeout(Duration::from_secs(10));
    let stall = Fault::TimedOut(Duration::from_secs(10));
    store.fail(Operation::Complete, &[stall, Fault::Late(Duration::from_secs(1))]);
    let execution = book(&store, &policy(), "booked").await;
    assert!(matches!(execution, Execution::Executed(_)), "{execution:?}");
    assert_eq!(store.count(Operation::Complete), 2);
}

#[tokio::test(start_paused = true)]
async fn time_for_resending_follows_the_stores_own_time_for_a_call() {
    for (once, altogether) in [(None, 10), (Some(1), 10), (Some(4), 10), (Some(10), 25), (Some(60), 150)] {
        let store = match once {
            Some(seconds) => Scripted::with_call_timeout(Duration::from_secs(seconds)),
            None => Scripted::new(),
        };
        store.fail_always(Operation::Lock, Fault::Silent);
        let begun = Instant::now();
        assert_eq!(try_book(&store, &policy(), "never").await.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(begun.elapsed().as_secs(), altogether, "{once:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closed_store_fails_at_once_before_the_work() {
    let store = Scripted::new();
    store.fail_always(Operation::Lock, Fault::Before(ErrorKind::Closed));
    let begun = Instant::now();
    assert_eq!(try_book(&store, &policy(), "never").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!((begun.elapsed(), store.count(Operation::Lock)), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn store_that_was_closed_while_the_work_ran_leaves_its_result_unknown_at_once() {
    let store = Scripted::new();
    store.fail_always(Operation::Complete, Fault::Before(ErrorKind::Closed));
    let begun = Instant::now();
    let execution = book(&store, &policy(), "booked").await;
    let Execution::Unknown(text, error) = execution else { panic!("{execution:?}") };
    assert_eq!((text.as_str(), error.kind()), ("booked", ErrorKind::Closed));
    assert_eq!((begun.elapsed(), store.count(Operation::Complete)), (Duration::ZERO, 1));
}
