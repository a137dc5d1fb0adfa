//! The heartbeat of `execute`: it keeps the lease of long work, and comes to an end.
//!
//! It beats in real time. On a manual clock the work itself moves the store's time on, and waits for the
//! heartbeat that follows.

use std::time::Duration;

use idem_core::{Lease, LockOutcome, Policy, State, Timestamp};

use crate::executing::{ExpectExecution, FOREVER, ORDER, assert_replays, begin, execute, kept};
use crate::harness::Time;
use crate::trial::{ExpectFenced, ExpectLock, LEASE, RETENTION, Trial};

pub(super) async fn lease_of_long_work_is_kept(t: Trial) {
    let (t, lease_for) = (&t, lease_for(&t));
    let work = |lease: Lease| async move {
        // Three leases altogether.
        for _ in 0..6 {
            let before = deadline(t, &lease).await;
            t.time().advance(lease_for / 2).await;
            while deadline(t, &lease).await <= before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            t.lock(lease.key(), &t.claim()).await.expect_in_progress();
        }
        assert!(!lease.remaining().is_zero(), "the holder knows of its renewals");
        Ok("done".to_owned())
    };
    // On a busy machine the rounds take their time.
    let policy = Policy::new(lease_for, t.ticks(RETENTION)).renew_for(FOREVER);
    execute(t, &policy, work).await.expect_executed("done");
    assert_replays(t, "done").await;
}

pub(super) async fn lease_ends_after_the_ceiling(t: Trial) {
    let lease_for = lease_for(&t);
    let policy = Policy::new(lease_for, t.ticks(RETENTION * 10)).renew_for(lease_for);
    let hanging = begin(&t, policy, |_| std::future::pending()).await;
    tokio::time::sleep(lease_for * 2).await;
    // Past the ceiling there is no heartbeat; one that was sent before it may still arrive, on a busy machine.
    for again in [true, false] {
        t.time().advance(lease_for * 2).await;
        tokio::time::sleep(lease_for).await;
        match t.lock(&t.key(ORDER), &t.claim()).await {
            LockOutcome::InProgress { .. } if again => {}
            locked => {
                assert_eq!(locked.expect_acquired().attempt(), 2);
                break;
            }
        }
    }
    assert!(!hanging.is_finished(), "a lost lease does not stop the work");
    hanging.abort();
}

pub(super) async fn loss_of_the_lease_is_told_to_the_work(t: Trial) {
    let (t, lease_for) = (&t, lease_for(&t));
    let work = |lease: Lease| async move {
        assert!(t.remove(lease.key(), true).await);
        let other = t.acquire(lease.key()).await;
        while !lease.is_lost() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(lease.remaining().is_zero());
        t.complete(&other, kept("of the other")).await.expect_applied();
        Ok("of this one".to_owned())
    };
    let policy = Policy::new(lease_for, t.ticks(RETENTION)).renew_for(FOREVER);
    execute(t, &policy, work).await.expect_fenced("of this one");
    assert_replays(t, "of the other").await;
}

/// A lease short enough to be waited for: a real clock needs one that is long enough to be kept, too.
fn lease_for(t: &Trial) -> Duration {
    match t.time() {
        Time::Manual(_) => Duration::from_millis(30),
        Time::Real { .. } => t.ticks(LEASE),
    }
}

async fn deadline(t: &Trial, lease: &Lease) -> Timestamp {
    let record = t.record(lease.key()).await;
    assert_eq!(record.token, lease.token(), "the lease was lost");
    let State::Locked(locked) = record.state else { panic!("{record:?} should be locked") };
    locked.deadline
}
