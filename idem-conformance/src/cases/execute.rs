//! `execute` on the store: one of many callers runs the work, and all get its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use idem_core::{ErrorKind, Execution, Policy, StoreExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::executing::{
    Answer, ExpectExecution, FOREVER, ORDER, assert_replays, begin, describe_attempt, execute, execute_on,
    forbidden,
};
use crate::trial::{ExpectEffect, LEASE, Trial, fingerprint, must, other_fingerprint, poll_once};

pub(super) async fn work_runs_once_and_is_replayed(t: Trial) {
    execute(&t, &t.policy(), |_| async { Ok("first".to_owned()) }).await.expect_executed("first");
    for _ in 0..3 {
        execute(&t, &t.policy(), forbidden).await.expect_replayed("first");
    }
}

pub(super) async fn other_request_is_a_mismatch(t: Trial) {
    execute(&t, &t.policy(), |_| async { Ok("first".to_owned()) }).await.expect_executed("first");
    let (store, policy) = (t.store(), t.policy());
    let answer = store.execute(&t.key(ORDER), &other_fingerprint(), &policy, forbidden).await;
    let answer = must("execute", answer);
    assert!(matches!(answer, Execution::FingerprintMismatch), "{answer:?}");
}

pub(super) async fn second_caller_is_in_progress(t: Trial) {
    t.acquire(&t.key(ORDER)).await;
    for policy in [t.policy(), t.policy().wait(Duration::from_millis(20))] {
        let remaining = execute(&t, &policy, forbidden).await.expect_in_progress();
        assert!(!remaining.is_zero() && remaining <= t.ticks(LEASE), "{remaining:?}");
    }
}

pub(super) async fn waiting_callers_replay(t: Trial) {
    let (finish, finished) = oneshot::channel();
    let work = |_| async move {
        must("finish", finished.await);
        Ok("done".to_owned())
    };
    // The lease is long, so that on any clock the wait ends by the work and not by the lease.
    let policy = Policy::new(t.ticks(LEASE * 100), t.ticks(LEASE * 100)).wait(FOREVER);
    let holder = begin(&t, policy.clone(), work).await;
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let (store, key, policy) = (t.store(), t.key(ORDER), policy.clone());
        waiting.spawn(async move {
            must("execute", store.execute(&key, &fingerprint(), &policy, forbidden).await)
        });
    }
    must("finish", finish.send(()));
    must("holder", holder.await).expect_executed("done");
    for answer in waiting.join_all().await {
        answer.expect_replayed("done");
    }
}

pub(super) async fn hundred_callers_run_it_once(t: Trial) {
    let runs = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (store, key, policy) = (t.store(), t.key(ORDER), t.policy().wait(FOREVER));
        let runs = Arc::clone(&runs);
        callers.spawn(async move {
            let work = |_| async move { Ok(format!("run {}", runs.fetch_add(1, Ordering::SeqCst))) };
            let answer: Answer = must("execute", store.execute(&key, &fingerprint(), &policy, work).await);
            answer
        });
    }
    let answers = callers.join_all().await;
    let executed = answers.iter().filter(|answer| matches!(answer, Execution::Executed(_))).count();
    assert_eq!((executed, runs.load(Ordering::SeqCst)), (1, 1));
    for answer in answers {
        assert_eq!(answer.into_value().as_deref(), Some("run 0"), "all get the same result");
    }
}

pub(super) async fn waiting_caller_takes_over_from_a_crashed_holder(t: Trial) {
    let dead = t.acquire(&t.key(ORDER)).await;
    t.checkpoint(&dead, 3, b"half way").await.expect_applied();
    let policy = t.policy().wait(FOREVER);
    let mut waiting = Box::pin(execute(&t, &policy, describe_attempt));
    assert!(poll_once(waiting.as_mut()).is_pending());
    t.outlast_lease().await;
    waiting.await.expect_executed("attempt 2 from Some(3)");
}

pub(super) async fn result_of_another_type_is_incompatible(t: Trial) {
    execute(&t, &t.policy(), |_| async { Ok("a text".to_owned()) }).await.expect_executed("a text");
    let (store, policy) = (t.store(), t.policy());
    let work = |_| async { Err::<(u64, [u64; 32]), _>("this is a replay") };
    let answer = store.execute(&t.key(ORDER), &fingerprint(), &policy, work).await;
    let Err(error) = answer else { panic!("{answer:?} should be an error") };
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert_replays(&t, "a text").await;
}

pub(super) async fn policy_outside_its_limits_runs_nothing(t: Trial) {
    let policy = Policy::new(t.ticks(LEASE), t.ticks(LEASE - 1));
    let answer = execute_on(&t, t.store(), &policy, forbidden).await;
    let Err(error) = answer else { panic!("{answer:?} should be an error") };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(t.get(&t.key(ORDER)).await.is_none());
}
