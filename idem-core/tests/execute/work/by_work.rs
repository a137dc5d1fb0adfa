//! Work that completes its key itself: the answer is the outcome on record.

use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, OnError, Outcome, Policy, Store, StoreExt, UnavailableReason};

use crate::support::{Fault, LEASE, RETENTION, Scripted, book, encoded, key, order, policy};

/// Work that completes the key with `outcome` and then answers `answer`.
async fn complete_inside(
    store: &Scripted,
    policy: &Policy,
    outcome: Outcome,
    answer: Result<String, &'static str>,
) -> idem_core::Result<Execution<String, &'static str>> {
    let inside = store.clone();
    store
        .execute(&key(), &order(), policy, |lease| async move {
            let _kept = inside.complete(&lease, outcome, RETENTION).await;
            answer
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn outcome_that_the_work_kept_is_the_answer_and_not_completed_again() {
    let store = Scripted::new();
    let execution =
        complete_inside(&store, &policy(), encoded("kept"), Ok("returned".to_owned())).await.unwrap();
    assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
    assert_eq!(store.count(Operation::Complete), 1);
}

#[tokio::test(start_paused = true)]
async fn outcome_that_the_work_kept_is_the_answer_when_the_work_then_fails() {
    for policy in [policy(), policy().on_error(OnError::Keep)] {
        let store = Scripted::new();
        let execution = complete_inside(&store, &policy, encoded("kept"), Err("late failure")).await.unwrap();
        assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
        assert_eq!(store.count(Operation::Release), 0);
    }
}

/// The work saw a timeout and gave up, but its completion had been accepted.
#[tokio::test(start_paused = true)]
async fn completion_that_timed_out_for_the_work_is_the_answer_when_the_work_fails() {
    for policy in [policy(), policy().on_error(OnError::Keep)] {
        let store = Scripted::new();
        store.fail(Operation::Complete, &[Fault::After(ErrorKind::Timeout)]);
        let execution = complete_inside(&store, &policy, encoded("kept"), Err("timed out")).await.unwrap();
        assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn completion_that_timed_out_for_the_work_is_the_answer_when_the_release_fails() {
    let kinds = [ErrorKind::Timeout, ErrorKind::Full, ErrorKind::Corrupt].map(Fault::Before);
    for fault in kinds.into_iter().chain([Fault::Silent]) {
        let store = Scripted::new();
        store.fail(Operation::Complete, &[Fault::After(ErrorKind::Timeout)]);
        store.fail_always(Operation::Release, fault);
        let execution = complete_inside(&store, &policy(), encoded("kept"), Err("timed out")).await.unwrap();
        assert!(
            matches!(&execution, Execution::Executed(text) if text == "kept"),
            "{fault:?}: {execution:?}"
        );
    }
}

/// The outcome of another attempt is not the answer to this one.
#[tokio::test(start_paused = true)]
async fn outcome_of_another_attempt_does_not_hide_that_the_work_failed() {
    for policy in [policy(), policy().on_error(OnError::Keep)] {
        let store = Scripted::new();
        let inside = store.clone();
        let execution = store
            .execute(&key(), &order(), &policy, |_| async move {
                assert!(inside.remove(&key(), true).await.unwrap());
                let _executed = book(&inside, &crate::support::policy(), "of the other").await;
                Err::<String, _>("declined")
            })
            .await
            .unwrap();
        assert!(matches!(execution, Execution::Failed("declined")), "{execution:?}");
        assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("of the other")));
    }
}

#[tokio::test(start_paused = true)]
async fn failure_is_the_answer_when_the_record_cannot_be_read() {
    for policy in [policy(), policy().on_error(OnError::Keep)] {
        for fault in [Fault::Silent, Fault::Before(ErrorKind::Corrupt)] {
            let store = Scripted::new();
            store.fail(Operation::Complete, &[Fault::After(ErrorKind::Timeout)]);
            store.fail_always(Operation::Get, fault);
            let execution =
                complete_inside(&store, &policy, encoded("kept"), Err("timed out")).await.unwrap();
            assert!(matches!(execution, Execution::Failed("timed out")), "{execution:?}");
            store.heal();
            let retry = book(&store, &policy, "again").await;
            assert!(matches!(&retry, Execution::Replayed(text) if text == "kept"), "{retry:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn completion_that_timed_out_for_the_work_stays_when_the_work_returns_the_same() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::After(ErrorKind::Timeout)]);
    let execution = complete_inside(&store, &policy(), encoded("kept"), Ok("kept".to_owned())).await.unwrap();
    assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("kept")));
}

/// A renewal after the timeout is answered that the key is completed.
#[tokio::test(start_paused = true)]
async fn completion_that_timed_out_for_the_work_is_the_answer_once_a_renewal_finds_it() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::After(ErrorKind::Timeout)]);
    let inside = store.clone();
    let execution = store
        .execute(&key(), &order(), &policy(), |lease| async move {
            let unknown = inside.complete(&lease, encoded("kept"), RETENTION).await;
            assert!(unknown.is_err() && !lease.is_completed());
            tokio::time::sleep(LEASE / 2).await;
            assert!(lease.is_completed() && !lease.is_lost());
            Ok::<_, ()>("returned".to_owned())
        })
        .await
        .unwrap();
    assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn unavailable_outcome_that_the_work_kept_is_unavailable() {
    let store = Scripted::new();
    let outcome = Outcome::Unavailable(UnavailableReason::Streamed);
    let execution = complete_inside(&store, &policy(), outcome, Ok("returned".to_owned())).await.unwrap();
    assert!(matches!(execution, Execution::Unavailable(UnavailableReason::Streamed)), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn outcome_of_another_type_that_the_work_kept_is_incompatible() {
    let store = Scripted::new();
    let outcome = Outcome::Value(bytes::Bytes::from_static(&[9]));
    let answer = complete_inside(&store, &policy(), outcome, Ok("returned".to_owned())).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Incompatible);
}

#[tokio::test(start_paused = true)]
async fn read_of_the_record_is_sent_again_when_it_times_out() {
    let store = Scripted::new();
    store.fail(Operation::Get, &[Fault::Before(ErrorKind::Timeout); 3]);
    let execution =
        complete_inside(&store, &policy(), encoded("kept"), Ok("returned".to_owned())).await.unwrap();
    assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn record_that_cannot_be_read_is_unknown_and_nothing_is_released() {
    let store = Scripted::new();
    store.fail_always(Operation::Get, Fault::Silent);
    let execution =
        complete_inside(&store, &policy(), encoded("kept"), Ok("returned".to_owned())).await.unwrap();
    assert!(matches!(&execution, Execution::Unknown(text, _) if text == "returned"), "{execution:?}");
    assert_eq!(store.count(Operation::Release), 0);
}

#[tokio::test(start_paused = true)]
async fn completion_that_was_removed_again_is_lease_lost() {
    let store = Scripted::new();
    let inside = store.clone();
    let execution = store
        .execute(&key(), &order(), &policy(), |lease| async move {
            let _kept = inside.complete(&lease, encoded("kept"), RETENTION).await;
            let _removed = inside.remove(&key(), true).await;
            Ok::<_, ()>("returned".to_owned())
        })
        .await
        .unwrap();
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "returned"), "{execution:?}");
}
