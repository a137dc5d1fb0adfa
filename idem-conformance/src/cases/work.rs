//! Work under `execute`: whatever the work does, its key ends as promised.

use std::time::Duration;

use idem_core::{Execution, Lease, OnError, Outcome, StoreExt, UnavailableReason};

use crate::executing::{
    ExpectExecution, ORDER, assert_attempt, assert_replays, begin, execute, forbidden, kept,
};
use crate::trial::{ExpectEffect, RETENTION, Trial, fingerprint, must};

pub(super) async fn result_of_a_lost_lease_does_not_become_the_keys(t: Trial) {
    let (t, policy) = (&t, t.policy().renew_for(Duration::ZERO));
    let work = |lease: Lease| async move {
        let second = t.take_over(lease.key()).await;
        t.complete(&second, kept("of the second")).await.expect_applied();
        Ok("of the first".to_owned())
    };
    execute(t, &policy, work).await.expect_lease_lost("of the first");
    assert_replays(t, "of the second").await;
}

pub(super) async fn result_that_is_too_large_is_unavailable_to_retries(t: Trial) {
    let large = "x".repeat(t.largest_outcome() + 1);
    let result = large.clone();
    execute(&t, &t.policy(), |_| async { Ok(result) }).await.expect_executed(&large);
    let again = execute(&t, &t.policy(), forbidden).await;
    assert!(matches!(again, Execution::Unavailable(UnavailableReason::TooLarge)), "{again:?}");
}

pub(super) async fn outcome_that_was_not_kept_is_unavailable_to_retries(t: Trial) {
    let (store, key, policy) = (t.store(), t.key(ORDER), t.policy());
    for first in [true, false] {
        let work = |_| async move { Ok::<_, &str>(Outcome::Unavailable(UnavailableReason::Streamed)) };
        match (first, must("execute", store.execute_outcome(&key, &fingerprint(), &policy, work).await)) {
            (true, Execution::Executed(Outcome::Unavailable(UnavailableReason::Streamed)))
            | (false, Execution::Unavailable(UnavailableReason::Streamed)) => {}
            (_, answer) => panic!("{answer:?}, first: {first}"),
        }
    }
}

pub(super) async fn outcome_is_kept_for_as_long_as_the_work_says(t: Trial) {
    let (store, key, policy) = (t.store(), t.key(ORDER), t.policy());
    let long = t.ticks(RETENTION * 2);
    let work = |_| async move { Ok::<_, &str>((kept("done"), long)) };
    let executed = store.execute_with_retention(&key, &fingerprint(), &policy, work).await;
    assert!(matches!(must("execute", executed), Execution::Executed(outcome) if outcome == kept("done")));
    t.advance(RETENTION * 2 - 2).await;
    assert_replays(&t, "done").await;
    t.advance(3).await;
    assert_attempt(&t, "attempt 1 from None").await;
}

pub(super) async fn failure_releases_the_key(t: Trial) {
    execute(&t, &t.policy(), |_| async { Err("declined") }).await.expect_failed("declined");
    assert!(t.get(&t.key(ORDER)).await.is_none());
    assert_attempt(&t, "attempt 1 from None").await;
}

pub(super) async fn failure_leaves_the_checkpoint(t: Trial) {
    let t = &t;
    let work = |lease: Lease| async move {
        t.checkpoint(&lease, 3, b"half way").await.expect_applied();
        Err("declined")
    };
    execute(t, &t.policy(), work).await.expect_failed("declined");
    assert_attempt(t, "attempt 2 from Some(3)").await;
}

pub(super) async fn failure_keeps_the_key_where_the_policy_says_so(t: Trial) {
    let policy = t.policy().on_error(OnError::Keep);
    execute(&t, &policy, |_| async { Err("unclear") }).await.expect_failed("unclear");
    execute(&t, &policy, forbidden).await.expect_in_progress();
    t.outlast_lease().await;
    assert_attempt(&t, "attempt 2 from None").await;
}

pub(super) async fn completion_by_the_work_is_the_answer(t: Trial) {
    let t = &t;
    let work = |lease: Lease| async move {
        t.complete(&lease, kept("by the work")).await.expect_applied();
        Ok("ignored".to_owned())
    };
    execute(t, &t.policy(), work).await.expect_executed("by the work");
    assert_replays(t, "by the work").await;
}

pub(super) async fn completion_by_the_work_outweighs_its_failure(t: Trial) {
    let t = &t;
    for on_error in [OnError::Release, OnError::Keep] {
        for seen in [true, false] {
            let work = |lease: Lease| async move {
                // A separate copy does not share its state with the lease, as when an answer was lost.
                let copy = t.lease_with(&lease, lease.token());
                let used = if seen { &lease } else { &copy };
                t.complete(used, kept("by the work")).await.expect_applied();
                assert_eq!(lease.is_completed(), seen);
                Err("too late")
            };
            execute(t, &t.policy().on_error(on_error), work).await.expect_executed("by the work");
            assert_replays(t, "by the work").await;
            assert!(t.remove(&t.key(ORDER), false).await);
        }
    }
}

pub(super) async fn result_is_kept_although_the_record_is_gone(t: Trial) {
    let t = &t;
    let work = |lease: Lease| async move {
        assert!(t.remove(lease.key(), true).await);
        Ok("done".to_owned())
    };
    execute(t, &t.policy(), work).await.expect_executed("done");
    assert_replays(t, "done").await;
}

pub(super) async fn result_whose_record_is_gone_does_not_overwrite_another(t: Trial) {
    let t = &t;
    let work = |lease: Lease| async move {
        assert!(t.remove(lease.key(), true).await);
        let other = t.acquire(lease.key()).await;
        t.complete(&other, kept("of the other")).await.expect_applied();
        Ok("of this one".to_owned())
    };
    execute(t, &t.policy(), work).await.expect_lease_lost("of this one");
    assert_replays(t, "of the other").await;
}

pub(super) async fn result_whose_record_is_gone_does_not_change_another_attempt(t: Trial) {
    let t = &t;
    let work = |lease: Lease| async move {
        assert!(t.remove(lease.key(), true).await);
        let other = t.acquire(lease.key()).await;
        t.checkpoint(&other, 3, b"half way").await.expect_applied();
        t.release(&other).await.expect_applied();
        Ok("of this one".to_owned())
    };
    execute(t, &t.policy(), work).await.expect_lease_lost("of this one");
    assert_attempt(t, "attempt 2 from Some(3)").await;
}

pub(super) async fn dropped_work_leaves_its_lease(t: Trial) {
    let work = begin(&t, t.policy(), |_| std::future::pending()).await;
    work.abort();
    assert!(work.await.is_err_and(|error| error.is_cancelled()));
    assert_left_to_end(&t).await;
}

pub(super) async fn panicking_work_leaves_its_lease(t: Trial) {
    // `resume_unwind` prints no panic message into the test's output.
    let work = begin(&t, t.policy(), |_| async { std::panic::resume_unwind(Box::new("on purpose")) }).await;
    assert!(work.await.is_err_and(|error| error.is_panic()));
    assert_left_to_end(&t).await;
}

async fn assert_left_to_end(t: &Trial) {
    execute(t, &t.policy(), forbidden).await.expect_in_progress();
    t.outlast_lease().await;
    assert_attempt(t, "attempt 2 from None").await;
}
