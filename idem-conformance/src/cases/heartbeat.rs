//! The heartbeat of `execute` keeps the lease of long work, and ends in time.
//!
//! The heartbeat runs in real time. On a manual clock the work itself advances the store's time, and waits for the
//! heartbeat that follows.

use std::future::pending;
use std::time::Duration;

use idem_core::clock::Timestamp;
use idem_core::record::{Record, State};
use idem_core::{Lease, Policy};
use tokio::time::Instant;

use crate::executing::{ExpectExecution, FOREVER, ORDER, assert_replays, begin, execute, kept};
use crate::harness::Time;
use crate::trial::{ExpectEffect, ExpectLock, LEASE, RETENTION, Trial};

pub(super) async fn lease_of_long_work_is_kept(t: Trial) {
    let (t, lease_for) = (&t, lease_for(&t));
    let work = |lease: Lease| async move {
        // Three leases in total.
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
    // Without a ceiling, since on a busy machine the rounds take longer.
    let policy = Policy::new(lease_for, t.ticks(RETENTION)).renew_for(FOREVER);
    execute(t, &policy, work).await.expect_executed("done");
    assert_replays(t, "done").await;
}

/// What [`Policy::renew_for`] says, by the store's own times.
pub(super) async fn lease_ends_at_the_ceiling_and_not_before(t: Trial) {
    // Long enough for a busy machine.
    let lease_for = Duration::from_millis(1_500);
    let (ceiling, retention) = (lease_for * 2 + lease_for / 2, lease_for * 100);
    let begun = Instant::now();
    let hanging = begin(&t, Policy::new(lease_for, retention).renew_for(ceiling), |_| pending()).await;
    let first = t.record(&t.key(ORDER)).await;
    let granted = locked_until(&first) - lease_for;
    let mut passed = Duration::ZERO;
    while begun.elapsed() < ceiling + lease_for / 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        // The renewals follow the runtime's time, so the case has to move a manual clock at the same pace.
        if let Time::Manual(clock) = t.time() {
            clock.advance(begun.elapsed().saturating_sub(passed));
            passed = begun.elapsed();
        }
    }
    let last = t.record(&t.key(ORDER)).await;
    assert_eq!(last.token, first.token, "another attempt took over");
    let ends = locked_until(&last).since(granted);
    assert!(ends >= ceiling.saturating_sub(lease_for / 2), "{ends:?} is before the ceiling {ceiling:?}");
    assert!(ends < ceiling + lease_for, "{ends:?} is a lease past the ceiling {ceiling:?}");
    t.time().advance(locked_until(&last).since(last.as_of) + Duration::from_millis(50)).await;
    assert_eq!(t.lock(&t.key(ORDER), &t.claim()).await.expect_acquired().attempt(), 2);
    assert!(!hanging.is_finished(), "the end of the lease does not stop the work");
    hanging.abort();
}

pub(super) async fn loss_of_the_lease_is_visible_to_the_work(t: Trial) {
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
    execute(t, &policy, work).await.expect_lease_lost("of this one");
    assert_replays(t, "of the other").await;
}

/// A lease short enough to wait for. On a real clock it must also be long enough not to be lost.
fn lease_for(t: &Trial) -> Duration {
    match t.time() {
        Time::Manual(_) => Duration::from_millis(30),
        Time::Real { .. } => t.ticks(LEASE),
    }
}

async fn deadline(t: &Trial, lease: &Lease) -> Timestamp {
    let record = t.record(lease.key()).await;
    assert_eq!(record.token, lease.token(), "the lease was lost");
    locked_until(&record)
}

fn locked_until(record: &Record) -> Timestamp {
    let State::Locked(locked) = &record.state else { panic!("{record:?} should be locked") };
    locked.deadline
}
