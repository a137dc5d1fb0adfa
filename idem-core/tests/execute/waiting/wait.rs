//! Waiting for the result of another caller.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, Store, StoreExt};
use tokio::time::{Instant, sleep};

use crate::support::{
    Fault, LEASE, Polling, RETENTION, Scripted, bob, book, encoded, key, lock, order, policy, try_book,
};

const WAIT: Duration = Duration::from_secs(10);

/// Bob completes after two seconds.
async fn completed_soon(store: &Scripted) {
    let held = lock(store, &bob()).await;
    let store = store.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(2)).await;
        let _kept = store.complete(&held, encoded("bob's"), RETENTION).await;
    });
}

#[tokio::test(start_paused = true)]
async fn result_in_flight_is_replayed_as_soon_as_the_store_notifies() {
    let store = Scripted::new();
    completed_soon(&store).await;
    let begun = Instant::now();
    let execution = book(&store, &policy().wait(WAIT), "mine").await;
    assert!(matches!(&execution, Execution::Replayed(text) if text == "bob's"), "{execution:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn result_in_flight_is_replayed_by_a_store_that_does_not_notify() {
    let store = Scripted::new();
    completed_soon(&store).await;
    let execution = book(&Polling(store), &policy().wait(WAIT), "mine").await;
    assert!(matches!(&execution, Execution::Replayed(text) if text == "bob's"), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn key_that_is_released_meanwhile_is_executed() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    let other = store.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(2)).await;
        let _released = other.release(&held).await;
    });
    let execution = book(&store, &policy().wait(WAIT), "mine").await;
    assert!(matches!(&execution, Execution::Executed(text) if text == "mine"), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn holder_that_dies_is_succeeded_when_its_lease_is_over() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    let begun = Instant::now();
    let execution =
        store
            .execute(&key(), &order(), &policy().wait(LEASE * 2), |lease| async move {
                Ok::<_, ()>(lease.attempt())
            })
            .await
            .unwrap();
    assert!(matches!(execution, Execution::Executed(2)), "{execution:?}");
    assert!(begun.elapsed() >= LEASE && begun.elapsed() < LEASE * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn key_that_stays_in_progress_is_answered_in_progress_when_the_wait_is_over() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    let begun = Instant::now();
    let execution = book(&store, &policy().wait(WAIT), "mine").await;
    let Execution::InProgress { remaining } = execution else { panic!("{execution:?}") };
    assert_eq!(begun.elapsed().as_secs(), WAIT.as_secs());
    assert!(remaining <= LEASE.saturating_sub(WAIT), "the hint is from before the wait: {remaining:?}");
    assert!(remaining > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn hint_after_a_wait_counts_the_holders_renewals() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    let other = store.clone();
    tokio::spawn(async move {
        sleep(WAIT.saturating_sub(Duration::from_secs(1))).await;
        let _renewed = other.renew(&held, LEASE * 2).await;
    });
    let execution = book(&store, &policy().wait(WAIT), "mine").await;
    let Execution::InProgress { remaining } = execution else { panic!("{execution:?}") };
    assert!(remaining > LEASE, "{remaining:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_nothing_is_waited_for() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    let begun = Instant::now();
    assert!(matches!(book(&store, &policy(), "mine").await, Execution::InProgress { .. }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(store.count(Operation::Settled), 0);
}

/// A longer wait is not given up because the store cannot be reached for a moment.
#[tokio::test(start_paused = true)]
async fn wait_goes_on_through_transient_failures() {
    for fault in [Fault::Before(ErrorKind::Timeout), Fault::Before(ErrorKind::Unavailable)] {
        let store = Scripted::new();
        completed_soon(&store).await;
        store.fail(Operation::Settled, &[fault; 3]);
        let execution = book(&store, &policy().wait(WAIT), "mine").await;
        assert!(matches!(&execution, Execution::Replayed(text) if text == "bob's"), "{execution:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wait_ends_in_time_when_the_store_never_answers() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    store.fail_always(Operation::Settled, Fault::Silent);
    let begun = Instant::now();
    let execution = book(&store, &policy().wait(WAIT), "mine").await;
    assert!(matches!(execution, Execution::InProgress { .. }), "{execution:?}");
    assert_eq!(begun.elapsed().as_secs(), WAIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn wait_ends_with_a_failure_that_is_not_transient() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    store.fail_always(Operation::Settled, Fault::Before(ErrorKind::Corrupt));
    let error = try_book(&store, &policy().wait(WAIT), "mine").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Corrupt, Operation::Settled));
}

#[tokio::test(start_paused = true)]
async fn hundred_callers_of_one_key_run_it_once_and_all_get_the_result() {
    let store = Scripted::new();
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        callers.spawn(async move {
            let work = |_| async move {
                sleep(Duration::from_secs(1)).await;
                Ok::<_, ()>(number)
            };
            store.execute(&key(), &order(), &policy().wait(WAIT), work).await.unwrap()
        });
    }
    let executions = callers.join_all().await;
    let executed: Vec<_> =
        executions.iter().filter(|execution| matches!(execution, Execution::Executed(_))).collect();
    assert_eq!(executed.len(), 1);
    let results: Vec<_> = executions.into_iter().map(Execution::into_value).collect();
    assert!(results.iter().all(|result| result.is_some() && *result == results[0]), "{results:?}");
}

/// In every round one caller wins and the others must try again: they wait for their turn and do not spin.
#[tokio::test(start_paused = true)]
async fn callers_whose_work_fails_take_turns() {
    let store = Scripted::new();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        callers.spawn(async move {
            let work = |_| async {
                sleep(Duration::from_millis(100)).await;
                Err::<(), _>("declined")
            };
            store.execute(&key(), &order(), &policy().wait(WAIT), work).await.unwrap()
        });
    }
    for execution in callers.join_all().await {
        assert!(matches!(execution, Execution::Failed("declined")), "{execution:?}");
    }
    assert!(store.count(Operation::Lock) <= 10 * 20, "{} locks", store.count(Operation::Lock));
}
