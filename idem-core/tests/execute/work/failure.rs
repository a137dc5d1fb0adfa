//! Work that answers `Err`, or panics.

use std::time::Duration;

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::{ErrorKind, Execution, OnError, Policy, Store, StoreExt};
use tokio::time::Instant;

use crate::support::{Fault, LEASE, Scripted, book, key, locked, order, policy};

async fn fail(store: &Scripted, policy: &Policy) -> Execution<String, &'static str> {
    store.execute(&key(), &order(), policy, |_| async { Err("declined") }).await.unwrap()
}

fn keep() -> Policy {
    policy().on_error(OnError::Keep)
}

#[tokio::test(start_paused = true)]
async fn released_key_may_be_tried_again_at_once() {
    let store = Scripted::new();
    assert!(matches!(fail(&store, &policy()).await, Execution::Failed("declined")));
    assert_eq!(store.record(&key()), None);
    assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
}

#[tokio::test(start_paused = true)]
async fn released_key_is_resumed_from_its_checkpoint() {
    let store = Scripted::new();
    let inside = store.clone();
    let failed: Execution<(), _> = store
        .execute(&key(), &order(), &policy(), |lease| async move {
            let _saved = inside.checkpoint(&lease, 2, Bytes::from_static(b"charged"), LEASE).await;
            Err("declined")
        })
        .await
        .unwrap();
    assert!(matches!(failed, Execution::Failed("declined")));
    let resumed = store
        .execute(&key(), &order(), &policy(), |lease| async move {
            Ok::<_, ()>((lease.attempt(), lease.checkpoint().unwrap().step))
        })
        .await
        .unwrap();
    assert!(matches!(resumed, Execution::Executed((2, 2))), "{resumed:?}");
}

#[tokio::test(start_paused = true)]
async fn release_that_timed_out_is_sent_again() {
    for fault in [Fault::Before(ErrorKind::Timeout), Fault::After(ErrorKind::Timeout)] {
        let store = Scripted::new();
        store.fail(Operation::Release, &[fault; 2]);
        assert!(matches!(fail(&store, &policy()).await, Execution::Failed("declined")));
        assert_eq!(store.record(&key()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn release_that_never_answers_leaves_the_lease_to_end_by_itself() {
    let store = Scripted::new();
    store.fail_always(Operation::Release, Fault::Silent);
    let begun = Instant::now();
    let failed = fail(&store, &policy().resend_for(Duration::from_secs(7))).await;
    assert!(matches!(failed, Execution::Failed("declined")));
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert!(matches!(book(&store, &policy(), "early").await, Execution::InProgress { .. }));
    tokio::time::advance(LEASE).await;
    assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
}

#[tokio::test(start_paused = true)]
async fn kept_key_is_in_progress_until_its_lease_is_over_and_then_a_new_attempt() {
    let store = Scripted::new();
    assert!(matches!(fail(&store, &keep()).await, Execution::Failed("declined")));
    assert_eq!(store.count(Operation::Release), 0);
    assert!(locked(&store.record(&key()).unwrap().state).held);
    assert!(matches!(book(&store, &policy(), "early").await, Execution::InProgress { .. }));
    tokio::time::advance(LEASE).await;
    let next = store
        .execute(&key(), &order(), &policy(), |lease| async move { Ok::<_, ()>(lease.attempt()) })
        .await
        .unwrap();
    assert!(matches!(next, Execution::Executed(2)), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn failure_after_the_lease_was_lost_is_still_a_failure() {
    for policy in [policy(), keep()] {
        let store = Scripted::new();
        let inside = store.clone();
        let failed: Execution<(), _> = store
            .execute(&key(), &order(), &policy, |_| async move {
                let _removed = inside.remove(&key(), true).await;
                Err("declined")
            })
            .await
            .unwrap();
        assert!(matches!(failed, Execution::Failed("declined")), "{failed:?}");
        assert_eq!(store.record(&key()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn panic_of_the_work_leaves_the_lease_to_end_by_itself() {
    let store = Scripted::new();
    let inside = store.clone();
    let panicked = tokio::spawn(async move {
        let work = |_| async {
            crate::support::pend_once().await;
            panic!("a mistake")
        };
        let execution: idem_core::Result<Execution<(), ()>> =
            inside.execute(&key(), &order(), &policy(), work).await;
        execution
    })
    .await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!((store.count(Operation::Release), store.count(Operation::Complete)), (0, 0));
    assert!(matches!(book(&store, &policy(), "early").await, Execution::InProgress { .. }));
    tokio::time::advance(LEASE).await;
    assert!(matches!(book(&store, &policy(), "booked").await, Execution::Executed(_)));
}
