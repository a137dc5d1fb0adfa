//! `execute` dropped at each of its await points: the record it leaves is whole, and nothing is released.

use std::pin::pin;

use idem_core::error::Operation;
use idem_core::record::State;
use idem_core::{Execution, Store, StoreExt};

use crate::support::{
    Fault, LEASE, Scripted, bob, book, encoded, key, lock, locked, order, pend_once, policy, poll_times,
};

/// Work that is pending a few times.
async fn work() -> Result<String, ()> {
    for _ in 0..3 {
        pend_once().await;
    }
    Ok("booked".to_owned())
}

/// Polls `execute` up to `polls` times and drops it; returns whether it was still pending.
fn dropped_after(polls: usize, store: &Scripted) -> bool {
    let policy = policy();
    let (key, order) = (key(), order());
    let mut execution = pin!(store.execute(&key, &order, &policy, |_| work()));
    poll_times(execution.as_mut(), polls)
}

#[tokio::test(start_paused = true)]
async fn drop_at_any_point_leaves_a_whole_record_and_no_release() {
    let mut seen = [false; 3];
    for polls in 0.. {
        let store = Scripted::new();
        if !dropped_after(polls, &store) {
            break;
        }
        assert_eq!(store.count(Operation::Release), 0, "after {polls} polls");
        match store.record(&key()).map(|record| (record.attempt, record.state)) {
            None => seen[0] = true,
            Some((1, state @ State::Locked(_))) => {
                let lock = locked(&state);
                assert!(lock.held && lock.checkpoint.is_none(), "after {polls} polls: {lock:?}");
                seen[1] = true;
            }
            Some((1, State::Completed(completed))) => {
                assert_eq!(completed.outcome, encoded("booked"), "after {polls} polls");
                seen[2] = true;
            }
            Some(other) => panic!("after {polls} polls: {other:?}"),
        }
    }
    assert_eq!(seen, [true; 3], "dropped before the lock, under it, and after the completion");
}

#[tokio::test(start_paused = true)]
async fn retry_after_a_drop_is_in_progress_until_the_lease_is_over_and_then_a_new_attempt() {
    for polls in 0.. {
        let store = Scripted::new();
        if !dropped_after(polls, &store) {
            break;
        }
        let left = store.record(&key());
        let retry = book(&store, &policy(), "again").await;
        match left.map(|record| record.state) {
            None => assert!(matches!(retry, Execution::Executed(_)), "after {polls} polls: {retry:?}"),
            Some(State::Completed(_)) => {
                assert!(matches!(retry, Execution::Replayed(_)), "after {polls} polls: {retry:?}");
            }
            Some(State::Locked(_)) => {
                assert!(matches!(retry, Execution::InProgress { .. }), "after {polls} polls: {retry:?}");
                tokio::time::advance(LEASE).await;
                let next = book(&store, &policy(), "again").await;
                assert!(matches!(next, Execution::Executed(_)), "after {polls} polls: {next:?}");
                assert_eq!(store.record(&key()).unwrap().attempt, 2);
            }
        }
    }
}

/// The work is dropped together with `execute`, and no completion follows.
#[tokio::test(start_paused = true)]
async fn drop_while_the_work_runs_completes_nothing() {
    let store = Scripted::new();
    {
        let (key, order, policy) = (key(), order(), policy());
        let hang = |_| std::future::pending::<Result<(), ()>>();
        let mut execution = pin!(store.execute(&key, &order, &policy, hang));
        assert!(poll_times(execution.as_mut(), 20));
    }
    assert_eq!((store.count(Operation::Complete), store.count(Operation::Release)), (0, 0));
    assert!(locked(&store.record(&key()).unwrap().state).held);
}

#[tokio::test(start_paused = true)]
async fn drop_while_waiting_does_not_affect_the_holder() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    {
        let (key, order, policy) = (key(), order(), policy().wait(LEASE));
        let mut execution = pin!(store.execute(&key, &order, &policy, |_| work()));
        assert!(poll_times(execution.as_mut(), 20));
    }
    assert!(store.count(Operation::Settled) > 0);
    assert_eq!(store.record(&key()).unwrap().token, held.token());
    let kept = store.complete(&held, encoded("bob's"), LEASE).await;
    assert!(kept.is_ok_and(|effect| effect == idem_core::Effect::Applied));
}

#[tokio::test(start_paused = true)]
async fn drop_while_a_completion_has_no_answer_releases_nothing() {
    for fault in [Fault::Silent, Fault::SilentAfter] {
        let store = Scripted::new();
        store.fail_always(Operation::Complete, fault);
        {
            let (key, order, policy) = (key(), order(), policy());
            let mut execution = pin!(store.execute(&key, &order, &policy, |_| work()));
            assert!(poll_times(execution.as_mut(), 50));
        }
        assert_eq!((store.count(Operation::Complete), store.count(Operation::Release)), (1, 0));
        assert!(store.record(&key()).is_some());
    }
}
