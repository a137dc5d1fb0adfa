//! What a caller gets from a store that does not fail.

use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, Fingerprint, Outcome, Policy, Store, StoreExt, UnavailableReason};

use crate::support::{LEASE, RETENTION, Scripted, bob, book, encoded, key, lock, order, policy, try_book};

#[tokio::test(start_paused = true)]
async fn first_call_executes_and_a_retry_replays() {
    let store = Scripted::new();
    assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(text) if text == "booked"));
    assert!(matches!(book(&store, &policy(), "again").await, Execution::Replayed(text) if text == "booked"));
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("booked")));
}

#[tokio::test(start_paused = true)]
async fn replay_lasts_for_the_retention_from_completion() {
    let store = Scripted::new();
    let _executed = book(&store, &policy(), "booked").await;
    tokio::time::advance(RETENTION.saturating_sub(LEASE)).await;
    assert!(matches!(book(&store, &policy(), "again").await, Execution::Replayed(_)));
    tokio::time::advance(LEASE).await;
    assert!(matches!(book(&store, &policy(), "again").await, Execution::Executed(text) if text == "again"));
}

#[tokio::test(start_paused = true)]
async fn other_request_under_the_same_key_is_a_mismatch_and_runs_nothing() {
    let store = Scripted::new();
    let _executed = book(&store, &policy(), "booked").await;
    let other = Fingerprint::builder("test").part("another order").finish();
    let execution = store
        .execute(&key(), &other, &policy(), |_| async { Err::<String, _>("must not run") })
        .await
        .unwrap();
    assert!(matches!(execution, Execution::FingerprintMismatch));
}

#[tokio::test(start_paused = true)]
async fn key_that_another_holds_is_in_progress_and_runs_nothing() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    let Execution::InProgress { remaining } = book(&store, &policy(), "mine").await else {
        panic!("not in progress")
    };
    assert_eq!(remaining, LEASE);
}

#[tokio::test(start_paused = true)]
async fn policy_outside_the_limits_is_an_invalid_argument_and_runs_nothing() {
    let store = Scripted::new();
    for policy in [Policy::new(LEASE, LEASE / 2), Policy::new(LEASE * 10_000, RETENTION * 10_000)] {
        let error = try_book(&store, &policy, "never").await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidArgument, Operation::Lock));
    }
    assert_eq!(store.record(&key()), None);
}

#[tokio::test(start_paused = true)]
async fn outcome_of_the_work_is_kept_and_replayed_unchanged() {
    let store = Scripted::new();
    let outcome = || Outcome::Value(bytes::Bytes::from_static(b"raw"));
    for _ in 0..2 {
        let execution = store
            .execute_outcome(&key(), &order(), &policy(), |_| async { Ok::<_, ()>(outcome()) })
            .await
            .unwrap();
        assert_eq!(execution.into_value(), Some(outcome()));
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_ended_without_a_keepable_result_never_runs_again() {
    let store = Scripted::new();
    let streamed = || async { Ok::<_, ()>(Outcome::Unavailable(UnavailableReason::Streamed)) };
    let first = store.execute_outcome(&key(), &order(), &policy(), |_| streamed()).await.unwrap();
    assert!(matches!(first, Execution::Executed(Outcome::Unavailable(UnavailableReason::Streamed))));
    let retry =
        store.execute_outcome(&key(), &order(), &policy(), |_| async { Err("must not run") }).await.unwrap();
    assert!(matches!(retry, Execution::Unavailable(UnavailableReason::Streamed)));
}

#[tokio::test(start_paused = true)]
async fn result_on_record_of_another_type_is_incompatible_and_stays() {
    let store = Scripted::new();
    let _executed = book(&store, &policy(), "booked").await;
    let replay = store.execute(&key(), &order(), &policy(), |_| async { Ok::<_, ()>(7_u8) }).await;
    assert_eq!(replay.unwrap_err().kind(), ErrorKind::Incompatible);
    assert!(matches!(book(&store, &policy(), "again").await, Execution::Replayed(text) if text == "booked"));
}

#[tokio::test(start_paused = true)]
async fn work_gets_its_key_attempt_and_checkpoint() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    let progress = bytes::Bytes::from_static(b"charged");
    let _saved = store.checkpoint(&held, 4, progress.clone(), LEASE).await.unwrap();
    tokio::time::advance(LEASE).await;
    let execution = store
        .execute(&key(), &order(), &policy(), |lease| async move {
            let checkpoint = lease.checkpoint().unwrap();
            assert_eq!((lease.key(), lease.attempt()), (&key(), 2));
            assert_eq!((checkpoint.step, &checkpoint.progress), (4, &progress));
            Ok::<_, ()>(())
        })
        .await;
    assert!(matches!(execution.unwrap(), Execution::Executed(())));
}

#[test]
fn only_executed_and_replayed_carry_the_keys_result() {
    let error = || idem_core::Error::new(ErrorKind::Timeout, Operation::Complete, "no answer");
    assert_eq!(Execution::<_, ()>::Executed(1).into_value(), Some(1));
    assert_eq!(Execution::<_, ()>::Replayed(1).into_value(), Some(1));
    let others: [Execution<i32, i32>; 6] = [
        Execution::InProgress { remaining: LEASE },
        Execution::FingerprintMismatch,
        Execution::LeaseLost(1),
        Execution::Unavailable(UnavailableReason::Other),
        Execution::Unknown(1, error()),
        Execution::Failed(1),
    ];
    for other in others {
        assert_eq!(other.into_value(), None);
    }
}
