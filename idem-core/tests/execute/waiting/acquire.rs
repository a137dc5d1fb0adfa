//! A `lock` of unknown effect: sent again as the same `lock`, and released if it is given up.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, Store, StoreExt};
use tokio::time::Instant;

use crate::support::{Fault, LEASE, Scripted, bob, book, key, lock, locked, order, policy, try_book};

#[tokio::test(start_paused = true)]
async fn lock_that_timed_out_is_sent_again_and_the_work_runs() {
    for fault in [Fault::Before(ErrorKind::Timeout), Fault::Before(ErrorKind::Unavailable)] {
        let store = Scripted::new();
        store.fail(Operation::Lock, &[fault; 3]);
        assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
        assert_eq!(store.count(Operation::Lock), 4);
    }
}

/// A resend under a new owner would find the key in progress, held by the caller's own first `lock`.
#[tokio::test(start_paused = true)]
async fn lock_whose_answer_was_lost_is_found_again_by_the_same_owner() {
    for fault in [Fault::After(ErrorKind::Timeout), Fault::After(ErrorKind::Unavailable)] {
        let store = Scripted::new();
        store.fail(Operation::Lock, &[fault; 3]);
        let execution = store
            .execute(&key(), &order(), &policy(), |lease| async move { Ok::<_, ()>(lease.attempt()) })
            .await
            .unwrap();
        assert!(matches!(execution, Execution::Executed(1)), "{execution:?}");
        assert_eq!(store.count(Operation::Lock), 4);
        assert_eq!(store.count(Operation::Release), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_execute_is_an_owner_of_its_own() {
    let store = Scripted::new();
    let mut owners = Vec::new();
    for _ in 0..2 {
        let owner = |lease: idem_core::Lease| async move { Err::<(), _>(lease.token().owner) };
        match store.execute(&key(), &order(), &policy(), owner).await.unwrap() {
            Execution::Failed(owner) => owners.push(owner),
            other => panic!("{other:?}"),
        }
    }
    assert_ne!(owners[0], owners[1]);
}

#[tokio::test(start_paused = true)]
async fn lock_that_never_answers_is_given_up_after_the_policys_time() {
    let store = Scripted::new();
    store.fail_always(Operation::Lock, Fault::Silent);
    let begun = Instant::now();
    let error = try_book(&store, &policy().resend_for(Duration::from_secs(7)), "never").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Operation::Lock));
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!(store.count(Operation::Release), 0, "there was nothing to release");
}

#[tokio::test(start_paused = true)]
async fn lock_that_took_effect_but_never_answers_is_released() {
    for fault in [Fault::SilentAfter, Fault::After(ErrorKind::Timeout), Fault::After(ErrorKind::Unavailable)]
    {
        let store = Scripted::new();
        store.fail_always(Operation::Lock, fault);
        let error = try_book(&store, &policy(), "never").await.unwrap_err();
        assert!(error.kind().is_transient(), "{error}");
        assert_eq!((store.count(Operation::Get), store.count(Operation::Release)), (1, 1));
        assert_eq!(store.record(&key()), None);
        store.heal();
        assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn lock_of_another_caller_is_never_released() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    store.fail_always(Operation::Lock, Fault::After(ErrorKind::Timeout));
    let error = try_book(&store, &policy(), "never").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(store.count(Operation::Release), 0);
    assert_eq!(store.record(&key()).unwrap().token, held.token());
}

#[tokio::test(start_paused = true)]
async fn failed_release_does_not_change_the_error_and_the_lease_ends_by_itself() {
    for broken in [Operation::Get, Operation::Release] {
        for fault in [Fault::Before(ErrorKind::Timeout), Fault::Before(ErrorKind::Corrupt), Fault::Silent] {
            let store = Scripted::new();
            store.fail_always(Operation::Lock, Fault::After(ErrorKind::Timeout));
            store.fail_always(broken, fault);
            let begun = Instant::now();
            let error = try_book(&store, &policy(), "never").await.unwrap_err();
            assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Operation::Lock));
            assert!(begun.elapsed() <= Duration::from_secs(12), "{:?}", begun.elapsed());
            let record = store.record(&key()).unwrap();
            assert!(locked(&record.state).held);
            store.heal();
            tokio::time::advance(LEASE).await;
            assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failure_that_is_not_transient_is_answered_at_once() {
    for kind in [ErrorKind::Full, ErrorKind::Corrupt, ErrorKind::Incompatible, ErrorKind::InvalidArgument] {
        let store = Scripted::new();
        store.fail_always(Operation::Lock, Fault::Before(kind));
        assert_eq!(try_book(&store, &policy(), "never").await.unwrap_err().kind(), kind);
        assert_eq!((store.count(Operation::Lock), store.count(Operation::Get)), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn key_of_a_lock_that_was_given_up_is_free_for_another_caller() {
    let store = Scripted::new();
    store.fail_always(Operation::Lock, Fault::After(ErrorKind::Timeout));
    let _error = try_book(&store, &policy(), "never").await.unwrap_err();
    store.heal();
    let held = lock(&store, &bob()).await;
    assert_eq!(held.attempt(), 1);
    assert!(store.get(&key()).await.unwrap().is_some_and(|record| record.token == held.token()));
}

#[tokio::test(start_paused = true)]
async fn store_that_fails_to_the_end_is_not_a_timeout_whatever_the_pauses() {
    for _ in 0..5_000 {
        let store = Scripted::new();
        store.fail_always(Operation::Lock, Fault::Before(ErrorKind::Unavailable));
        let error = try_book(&store, &policy().resend_for(Duration::from_millis(60)), "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
