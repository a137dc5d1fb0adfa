//! A `complete` of unknown effect: sent again, and never released.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, StoreExt, UnavailableReason};
use serde::{Deserialize, Serialize, Serializer};
use tokio::time::Instant;

use crate::support::{
    Fault, LEASE, MAX_BYTES, Scripted, bob, book, encoded, key, lock, locked, order, policy,
};

#[tokio::test(start_paused = true)]
async fn complete_that_timed_out_is_sent_again() {
    for fault in [
        Fault::Before(ErrorKind::Timeout),
        Fault::Before(ErrorKind::Unavailable),
        Fault::After(ErrorKind::Timeout),
        Fault::After(ErrorKind::Unavailable),
    ] {
        let store = Scripted::new();
        store.fail(Operation::Complete, &[fault; 3]);
        assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
        assert_eq!(store.count(Operation::Complete), 4);
        assert_eq!(store.count(Operation::Release), 0);
        assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("booked")));
    }
}

#[tokio::test(start_paused = true)]
async fn complete_that_never_answers_is_unknown_and_not_released() {
    for fault in [Fault::Silent, Fault::Before(ErrorKind::Timeout), Fault::Before(ErrorKind::Unavailable)] {
        let store = Scripted::new();
        store.fail_always(Operation::Complete, fault);
        let begun = Instant::now();
        let execution = book(&store, &policy().resend_for(Duration::from_secs(7)), "booked").await;
        let Execution::Unknown(text, error) = execution else { panic!("{execution:?}") };
        assert!(error.kind().is_transient() && error.operation() == Operation::Complete, "{error}");
        assert_eq!(text, "booked");
        assert!(begun.elapsed() <= Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(store.count(Operation::Release), 0);
        assert!(locked(&store.record(&key()).unwrap().state).held);
    }
}

#[tokio::test(start_paused = true)]
async fn complete_that_took_effect_but_never_answers_is_unknown_and_replayed_later() {
    for fault in [Fault::SilentAfter, Fault::After(ErrorKind::Timeout)] {
        let store = Scripted::new();
        store.fail_always(Operation::Complete, fault);
        let execution = book(&store, &policy(), "booked").await;
        assert!(matches!(&execution, Execution::Unknown(text, _) if text == "booked"), "{execution:?}");
        assert_eq!(store.count(Operation::Release), 0);
        store.heal();
        let retry = book(&store, &policy(), "again").await;
        assert!(matches!(&retry, Execution::Replayed(text) if text == "booked"), "{retry:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failure_that_is_not_transient_is_unknown_at_once_and_not_released() {
    for kind in [ErrorKind::Corrupt, ErrorKind::Incompatible] {
        let store = Scripted::new();
        store.fail_always(Operation::Complete, Fault::Before(kind));
        let execution = book(&store, &policy(), "booked").await;
        assert!(matches!(&execution, Execution::Unknown(_, error) if error.kind() == kind), "{execution:?}");
        assert_eq!((store.count(Operation::Complete), store.count(Operation::Release)), (1, 0));
    }
}

/// The work is done, so a store that is full for a moment must not cost its result.
#[tokio::test(start_paused = true)]
async fn complete_that_met_a_full_store_is_sent_again() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::Before(ErrorKind::Full), Fault::After(ErrorKind::Full)]);
    assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
    assert_eq!((store.count(Operation::Complete), store.count(Operation::Release)), (3, 0));
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("booked")));
}

#[tokio::test(start_paused = true)]
async fn complete_of_a_store_that_stays_full_is_unknown_within_the_bound_and_not_released() {
    let store = Scripted::new();
    store.fail_always(Operation::Complete, Fault::Before(ErrorKind::Full));
    let begun = Instant::now();
    let execution = book(&store, &policy().resend_for(Duration::from_secs(7)), "booked").await;
    let Execution::Unknown(text, error) = execution else { panic!("{execution:?}") };
    assert_eq!((text.as_str(), error.kind()), ("booked", ErrorKind::Full));
    assert!(begun.elapsed() <= Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(store.count(Operation::Complete) > 3);
    assert_eq!(store.count(Operation::Release), 0);
    assert!(locked(&store.record(&key()).unwrap().state).held);
}

#[tokio::test(start_paused = true)]
async fn note_that_the_work_has_run_is_sent_to_a_store_that_was_full_and_then_silent() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::Before(ErrorKind::Full), Fault::Silent]);
    let execution = book(&store, &policy(), "booked").await;
    assert!(matches!(&execution, Execution::Executed(text) if text == "booked"), "{execution:?}");
    let retried = book(&store, &policy(), "booked again").await;
    assert!(matches!(retried, Execution::Unavailable(UnavailableReason::Other)), "{retried:?}");
}

#[tokio::test(start_paused = true)]
async fn note_that_is_not_answered_ends_within_a_time_of_its_own() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::Before(ErrorKind::Full)]);
    store.fail_always(Operation::Complete, Fault::Silent);
    let begun = Instant::now();
    let execution = book(&store, &policy().resend_for(Duration::from_secs(7)), "booked").await;
    assert!(matches!(&execution, Execution::Unknown(text, _) if text == "booked"), "{execution:?}");
    assert!(begun.elapsed() <= Duration::from_secs(14), "{:?}", begun.elapsed());
    assert_eq!(store.count(Operation::Complete), 3);
}

/// The lease is not renewed any more, and a retry that takes over would run the work again.
#[tokio::test(start_paused = true)]
async fn note_is_sent_while_the_lease_lasts() {
    let store = Scripted::new();
    store.fail_always(Operation::Complete, Fault::Before(ErrorKind::Full));
    let policy = policy().resend_for(2 * LEASE);
    let begun = Instant::now();
    let mut asking = Box::pin(book(&store, &policy, "booked"));
    tokio::select! {
        biased;
        execution = &mut asking => panic!("{execution:?}"),
        () = tokio::time::sleep(LEASE * 2 / 5) => {}
    }
    let execution = asking.await;
    assert!(
        matches!(&execution, Execution::Unknown(_, error) if error.kind() == ErrorKind::Full),
        "{execution:?}"
    );
    assert!(begun.elapsed() <= LEASE / 2, "{:?}", begun.elapsed());
}

/// The completion may have taken effect: a note could contradict it, and a resend finds out.
#[tokio::test(start_paused = true)]
async fn no_note_is_sent_to_a_store_that_is_only_silent() {
    let store = Scripted::new();
    store.fail_always(Operation::Complete, Fault::Silent);
    assert!(matches!(book(&store, &policy(), "booked").await, Execution::Unknown(..)));
    assert_eq!(store.count(Operation::Complete), 1);
}

/// The error from before the silence is the cause, and is kept as the source.
#[tokio::test(start_paused = true)]
async fn silence_after_a_failure_is_a_timeout_with_the_failure_as_its_source() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::Before(ErrorKind::Full)]);
    store.fail_always(Operation::Complete, Fault::Silent);
    let execution = book(&store, &policy(), "booked").await;
    let Execution::Unknown(_, error) = execution else { panic!("{execution:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let before: &idem_core::Error = std::error::Error::source(&error).unwrap().downcast_ref().unwrap();
    assert_eq!(before.kind(), ErrorKind::Full);
}

#[tokio::test(start_paused = true)]
async fn result_of_a_lease_that_was_taken_over_is_lease_lost() {
    let store = Scripted::new();
    let other = store.clone();
    let execution = store
        .execute(&key(), &order(), &policy().renew_for(Duration::ZERO), |_| async move {
            tokio::time::advance(LEASE).await;
            let _held = lock(&other, &bob()).await;
            Ok::<_, ()>("late".to_owned())
        })
        .await
        .unwrap();
    assert!(matches!(&execution, Execution::LeaseLost(text) if text == "late"), "{execution:?}");
    let record = store.record(&key()).unwrap();
    assert_eq!((record.token.owner, record.attempt), (bob().owner, 2));
    assert!(locked(&record.state).held);
    assert_eq!(store.count(Operation::Release), 0);
}

#[tokio::test(start_paused = true)]
async fn result_of_a_lease_that_is_over_but_not_taken_over_is_kept() {
    let store = Scripted::new();
    let execution = store
        .execute(&key(), &order(), &policy().renew_for(Duration::ZERO), |_| async {
            tokio::time::advance(LEASE * 2).await;
            Ok::<_, ()>("late".to_owned())
        })
        .await
        .unwrap();
    assert!(matches!(execution, Execution::Executed(_)));
    assert_eq!(store.record(&key()).unwrap().outcome(), Some(&encoded("late")));
}

#[tokio::test(start_paused = true)]
async fn result_that_is_too_large_is_answered_and_recorded_as_such() {
    let store = Scripted::new();
    let large = "x".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
    let execution = book(&store, &policy(), &large).await;
    assert!(matches!(&execution, Execution::Executed(text) if *text == large));
    assert_eq!(store.count(Operation::Release), 0);
    let retry = book(&store, &policy(), "again").await;
    assert!(matches!(retry, Execution::Unavailable(UnavailableReason::TooLarge)), "{retry:?}");
}

#[tokio::test(start_paused = true)]
async fn note_that_a_result_was_too_large_is_sent_again_when_it_times_out() {
    let store = Scripted::new();
    store.fail(Operation::Complete, &[Fault::Before(ErrorKind::Timeout), Fault::After(ErrorKind::Timeout)]);
    let large = "x".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
    assert!(matches!(book(&store, &policy(), &large).await, Execution::Executed(_)));
    let retry = book(&store, &policy(), "again").await;
    assert!(matches!(retry, Execution::Unavailable(UnavailableReason::TooLarge)), "{retry:?}");
}

#[tokio::test(start_paused = true)]
async fn result_that_cannot_be_encoded_is_answered_and_recorded_as_such() {
    #[derive(Debug, Deserialize)]
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let store = Scripted::new();
    let first = store.execute(&key(), &order(), &policy(), |_| async { Ok::<_, ()>(Refuses) }).await;
    assert!(matches!(first.unwrap(), Execution::Executed(Refuses)));
    let retry = store.execute(&key(), &order(), &policy(), |_| async { Ok::<_, ()>(Refuses) }).await;
    assert!(matches!(retry.unwrap(), Execution::Unavailable(UnavailableReason::NotEncodable)));
}
