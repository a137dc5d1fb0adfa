//! The record is gone when the work is done: its result is kept if no other attempt has begun.

use bytes::Bytes;
use idem_core::backend::{Answer, Call};
use idem_core::error::Operation;
use idem_core::record::Checkpoint;
use idem_core::{ErrorKind, Execution, Outcome, Store, StoreExt, Token, UnavailableReason};

use crate::support::{
    Fault, LEASE, MAX_BYTES, Scripted, bob, book, encoded, key, lock, locked, order, policy,
};

/// Runs work that removes its record and then runs `meanwhile`.
async fn work_through_a_removal<F>(
    store: &Scripted,
    text: &str,
    meanwhile: impl FnOnce(Scripted) -> F + Send,
) -> Execution<String, ()>
where
    F: Future<Output = ()> + Send,
{
    let inside = store.clone();
    store
        .execute(&key(), &order(), &policy(), |_| async move {
            assert!(inside.remove(&key(), true).await.unwrap());
            meanwhile(inside).await;
            Ok(text.to_owned())
        })
        .await
        .unwrap()
}

async fn nothing(_: Scripted) {}

#[tokio::test(start_paused = true)]
async fn result_is_kept_under_the_same_owner_when_no_other_attempt_has_begun() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "booked", nothing).await;
    assert!(matches!(execution, Execution::Executed(_)), "{execution:?}");
    assert_eq!((store.count(Operation::Lock), store.count(Operation::Complete)), (2, 2));
    assert_eq!(store.count(Operation::Release), 0);
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("booked")));
}

#[tokio::test(start_paused = true)]
async fn second_lock_and_completion_are_sent_again_when_they_time_out() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "booked", |store| async move {
        store.fail(Operation::Lock, &[Fault::Before(ErrorKind::Timeout), Fault::After(ErrorKind::Timeout)]);
        store.fail(Operation::Complete, &[Fault::Before(ErrorKind::Timeout)]);
    })
    .await;
    assert!(matches!(execution, Execution::Executed(_)), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("booked")));
}

#[tokio::test(start_paused = true)]
async fn result_is_lease_lost_when_another_has_completed() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "late", |store| async move {
        let _executed = book(&store, &policy(), "first").await;
    })
    .await;
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "late"), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("first")));
}

#[tokio::test(start_paused = true)]
async fn result_is_lease_lost_when_another_holds_the_key_and_its_lease_stays() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "late", |store| async move {
        let _held = lock(&store, &bob()).await;
        store.fail(Operation::Renew, &[Fault::Before(ErrorKind::Corrupt)]);
    })
    .await;
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "late"), "{execution:?}");
    let record = store.record(&key()).unwrap();
    assert_eq!((record.token.owner, locked(&record.state).held), (bob().owner, true));
}

#[tokio::test(start_paused = true)]
async fn result_is_lease_lost_when_another_has_completed_between_the_refusal_and_the_second_lock() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "late", |store| async move {
        store.meanwhile(Operation::Complete, |store| {
            let token = take(store);
            let call = Call::Complete { token, outcome: encoded("first"), retention: LEASE };
            store.decide(&key(), call);
        });
    })
    .await;
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "late"), "{execution:?}");
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("first")));
}

#[tokio::test(start_paused = true)]
async fn result_is_lease_lost_when_another_holds_the_key_at_the_second_lock() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "late", |store| async move {
        store.meanwhile(Operation::Complete, |store| {
            take(store);
        });
    })
    .await;
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "late"), "{execution:?}");
    let record = store.record(&key()).unwrap();
    assert_eq!((record.token.owner, locked(&record.state).held), (bob().owner, true));
    assert_eq!(store.count(Operation::Release), 0);
}

/// A checkpoint of another attempt must not be overwritten by this result: the lease of the second lock is released.
#[tokio::test(start_paused = true)]
async fn result_is_lease_lost_and_the_key_released_when_another_has_begun_and_stopped() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "late", |store| async move {
        store.meanwhile(Operation::Complete, |store| {
            let token = take(store);
            let checkpoint = Checkpoint::new(1, Bytes::from_static(b"charged"));
            store.decide(&key(), Call::Checkpoint { token, checkpoint, duration: LEASE });
            store.decide(&key(), Call::Release { token });
        });
    })
    .await;
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "late"), "{execution:?}");
    let record = store.record(&key()).unwrap();
    assert_eq!((record.attempt, locked(&record.state).held), (2, false));
    assert_eq!(record.checkpoint().unwrap().progress, Bytes::from_static(b"charged"));
    assert_eq!((store.count(Operation::Release), store.count(Operation::Complete)), (1, 1));
}

/// Bob takes the key between two steps of the caller.
fn take(store: &Scripted) -> Token {
    let call = Call::Lock { fingerprint: order(), claim: bob(), min_sequence: 0 };
    match store.decide(&key(), call).answer {
        Answer::Acquired(grant) => grant.token,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn result_is_unknown_when_the_second_lock_never_answers() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "booked", |store| async move {
        store.fail_always(Operation::Lock, Fault::Silent);
    })
    .await;
    let Execution::Unknown(text, error) = execution else { panic!("{execution:?}") };
    assert_eq!((text.as_str(), error.operation()), ("booked", Operation::Lock));
    assert_eq!(store.count(Operation::Release), 0);
}

#[tokio::test(start_paused = true)]
async fn result_is_unknown_when_the_second_completion_never_answers() {
    let store = Scripted::new();
    let execution = work_through_a_removal(&store, "booked", |store| async move {
        store.fail(Operation::Complete, &[Fault::None]);
        store.fail_always(Operation::Complete, Fault::Before(ErrorKind::Timeout));
    })
    .await;
    let Execution::Unknown(text, error) = execution else { panic!("{execution:?}") };
    assert_eq!((text.as_str(), error.operation()), ("booked", Operation::Complete));
    assert_eq!(store.count(Operation::Release), 0);
    assert!(locked(&store.record(&key()).unwrap().state).held);
}

#[tokio::test(start_paused = true)]
async fn note_of_a_result_that_is_too_large_is_kept_when_the_record_is_gone() {
    let store = Scripted::new();
    let large = "x".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
    let execution = work_through_a_removal(&store, &large, nothing).await;
    assert!(matches!(execution, Execution::Executed(_)), "{execution:?}");
    let kept = store.record(&key()).and_then(|record| record.outcome().cloned());
    assert_eq!(kept, Some(Outcome::Unavailable(UnavailableReason::TooLarge)));
}
