//! Renewals beside the work: regular, up to the ceiling, and through a store's failures.

use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Effect, ErrorKind, Execution, Lease, Policy, Store, StoreExt};
use tokio::time::{Instant, sleep};

use crate::support::{Fault, LEASE, RETENTION, Scripted, bob, book, key, lock, order, policy};

/// Runs work that sleeps for `length`.
async fn work_for(store: &Scripted, policy: &Policy, length: Duration) -> Execution<(), ()> {
    let work = |_| async move {
        sleep(length).await;
        Ok(())
    };
    store.execute(&key(), &order(), policy, work).await.unwrap()
}

fn seconds(times: &[Duration]) -> Vec<u64> {
    times.iter().map(Duration::as_secs).collect()
}

#[tokio::test(start_paused = true)]
async fn lease_is_renewed_at_each_third_while_the_work_runs() {
    let store = Scripted::new();
    assert!(matches!(work_for(&store, &policy(), Duration::from_secs(95)).await, Execution::Executed(())));
    let renewals = store.times(Operation::Renew);
    assert_eq!(seconds(&renewals), [10, 20, 30, 40, 50, 60, 70, 80, 90]);
}

#[tokio::test(start_paused = true)]
async fn other_callers_find_the_key_in_progress_long_after_the_first_lease() {
    let store = Scripted::new();
    let other = store.clone();
    let execution = store
        .execute(&key(), &order(), &policy(), |lease| async move {
            sleep(LEASE * 3).await;
            assert!(lease.remaining() > Duration::ZERO, "the work sees its renewals");
            Ok::<_, ()>(matches!(book(&other, &policy(), "other").await, Execution::InProgress { .. }))
        })
        .await
        .unwrap();
    assert!(matches!(execution, Execution::Executed(true)));
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_before_the_first_renewal_makes_none() {
    let store = Scripted::new();
    assert!(matches!(work_for(&store, &policy(), Duration::from_secs(9)).await, Execution::Executed(())));
    assert_eq!(store.count(Operation::Renew), 0);
}

#[tokio::test(start_paused = true)]
async fn renewals_stop_at_the_ceiling_and_the_lease_ends_there() {
    let store = Scripted::new();
    let other = store.clone();
    let ceiling = Duration::from_secs(65);
    let work = |_| async move {
        sleep(ceiling.saturating_sub(Duration::from_millis(100))).await;
        let held = matches!(book(&other, &policy(), "early").await, Execution::InProgress { .. });
        sleep(Duration::from_millis(200)).await;
        let taken_over = matches!(book(&other, &policy(), "next").await, Execution::Executed(_));
        sleep(Duration::from_secs(100)).await;
        Ok::<_, ()>((held, taken_over))
    };
    let execution = store.execute(&key(), &order(), &policy().renew_for(ceiling), work).await.unwrap();
    assert!(matches!(execution, Execution::LeaseLost((true, true))), "{execution:?}");
    assert_eq!(seconds(&store.times(Operation::Renew)), [10, 20, 30, 40, 50, 60]);
}

#[tokio::test(start_paused = true)]
async fn ceiling_of_zero_never_renews() {
    let store = Scripted::new();
    let policy = policy().renew_for(Duration::ZERO);
    assert!(matches!(work_for(&store, &policy, LEASE * 3).await, Execution::Executed(())));
    assert_eq!(store.count(Operation::Renew), 0);
}

#[tokio::test(start_paused = true)]
async fn default_ceiling_is_ten_leases() {
    let store = Scripted::new();
    assert!(matches!(work_for(&store, &policy(), LEASE * 20).await, Execution::Executed(())));
    let last = store.times(Operation::Renew).last().copied().unwrap();
    assert!(last <= LEASE * 10, "{last:?}");
    assert!(last >= LEASE * 9, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_renewal_is_sent_again_before_the_lease_is_over() {
    for fault in [Fault::Before(ErrorKind::Timeout), Fault::Before(ErrorKind::Unavailable)] {
        let store = Scripted::new();
        store.fail(Operation::Renew, &[fault; 3]);
        let other = store.clone();
        let work = |_| async move {
            sleep(LEASE + Duration::from_secs(5)).await;
            Ok::<_, ()>(matches!(book(&other, &policy(), "other").await, Execution::InProgress { .. }))
        };
        let execution = store.execute(&key(), &order(), &policy(), work).await.unwrap();
        assert!(matches!(execution, Execution::Executed(true)), "{execution:?}");
    }
}

/// A renewal without an answer must not stop further renewals.
#[tokio::test(start_paused = true)]
async fn renewal_that_never_answers_is_sent_again_before_the_lease_is_over() {
    let store = Scripted::new();
    store.fail(Operation::Renew, &[Fault::Silent]);
    let other = store.clone();
    let work = |_| async move {
        sleep(LEASE + Duration::from_secs(5)).await;
        Ok::<_, ()>(matches!(book(&other, &policy(), "other").await, Execution::InProgress { .. }))
    };
    let execution = store.execute(&key(), &order(), &policy(), work).await.unwrap();
    assert!(matches!(execution, Execution::Executed(true)), "{execution:?}");
}

/// A full or damaged store may be repaired while the work runs, and giving up at the first error would end the lease.
#[tokio::test(start_paused = true)]
async fn renewal_that_met_a_full_or_damaged_store_is_sent_again_before_the_lease_is_over() {
    for kind in [ErrorKind::Full, ErrorKind::Corrupt, ErrorKind::Incompatible, ErrorKind::InvalidConfig] {
        let store = Scripted::new();
        store.fail(Operation::Renew, &[Fault::Before(kind); 3]);
        let other = store.clone();
        let work = |_| async move {
            sleep(LEASE + Duration::from_secs(5)).await;
            Ok::<_, ()>(matches!(book(&other, &policy(), "other").await, Execution::InProgress { .. }))
        };
        let execution = store.execute(&key(), &order(), &policy(), work).await.unwrap();
        assert!(matches!(execution, Execution::Executed(true)), "{kind}: {execution:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_of_a_store_that_stays_damaged_end_with_the_lease_but_the_work_goes_on() {
    let store = Scripted::new();
    store.fail_always(Operation::Renew, Fault::Before(ErrorKind::Corrupt));
    assert!(matches!(work_for(&store, &policy(), LEASE * 3).await, Execution::Executed(())));
    let renewals = store.times(Operation::Renew);
    assert!(renewals.len() > 3, "{renewals:?}");
    assert!(renewals.iter().all(|at| *at <= LEASE + LEASE / 12), "{renewals:?}");
}

/// A transient error may pass at any time, and until a takeover a late renewal still helps.
#[tokio::test(start_paused = true)]
async fn renewals_of_an_unreachable_store_go_on_past_the_lease() {
    let store = Scripted::new();
    store.fail(Operation::Renew, &[Fault::Before(ErrorKind::Unavailable); 20]);
    let other = store.clone();
    let work = |_| async move {
        sleep(LEASE * 3).await;
        Ok::<_, ()>(matches!(book(&other, &policy(), "other").await, Execution::InProgress { .. }))
    };
    let execution = store.execute(&key(), &order(), &policy(), work).await.unwrap();
    assert!(matches!(execution, Execution::Executed(true)), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn renewal_that_is_a_misuse_is_not_sent_again() {
    for kind in [ErrorKind::InvalidArgument, ErrorKind::InvalidKey] {
        let store = Scripted::new();
        store.fail_always(Operation::Renew, Fault::Before(kind));
        assert!(matches!(work_for(&store, &policy(), LEASE * 3).await, Execution::Executed(())));
        assert_eq!(store.count(Operation::Renew), 1);
    }
}

/// A closed store stays closed: further renewals would only fill the log.
#[tokio::test(start_paused = true)]
async fn renewal_of_a_closed_store_is_not_sent_again() {
    let store = Scripted::new();
    store.fail_always(Operation::Renew, Fault::Before(ErrorKind::Closed));
    assert!(matches!(work_for(&store, &policy(), LEASE * 3).await, Execution::Executed(())));
    assert_eq!(store.count(Operation::Renew), 1);
}

#[tokio::test(start_paused = true)]
async fn lost_lease_ends_the_renewals_but_not_the_work_and_the_work_can_see_it() {
    let store = Scripted::new();
    let inside = store.clone();
    let work = |lease: Lease| async move {
        inside.remove(&key(), true).await.unwrap();
        let _held = lock(&inside, &bob()).await;
        sleep(Duration::from_secs(15)).await;
        let remaining = lease.remaining();
        sleep(LEASE).await;
        Ok::<_, ()>(remaining)
    };
    let execution = store.execute(&key(), &order(), &policy(), work).await.unwrap();
    assert!(matches!(execution, Execution::LeaseLost(Duration::ZERO)), "{execution:?}");
    assert_eq!(store.count(Operation::Renew), 1);
}

#[tokio::test(start_paused = true)]
async fn renewals_end_when_the_work_has_completed_its_key_itself() {
    let store = Scripted::new();
    let inside = store.clone();
    let work = |lease: Lease| async move {
        sleep(Duration::from_secs(15)).await;
        let kept = inside.complete(&lease, crate::support::encoded("kept"), RETENTION).await;
        assert_eq!(kept.unwrap(), Effect::Applied);
        sleep(LEASE * 3).await;
        Ok::<_, ()>("returned".to_owned())
    };
    let execution = store.execute(&key(), &order(), &policy(), work).await.unwrap();
    assert!(matches!(&execution, Execution::Executed(text) if text == "kept"), "{execution:?}");
    assert_eq!(store.count(Operation::Renew), 1);
}

#[tokio::test(start_paused = true)]
async fn renewal_under_way_does_not_delay_work_that_is_done() {
    let store = Scripted::new();
    store.fail_always(Operation::Renew, Fault::Silent);
    let begun = Instant::now();
    let execution = work_for(&store, &policy(), Duration::from_secs(12)).await;
    assert!(matches!(execution, Execution::Executed(())));
    assert_eq!(begun.elapsed().as_secs(), 12);
}
