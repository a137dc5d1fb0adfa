//! `settled`: no wake-up is missed, and no wait takes longer than its time.

use std::pin::pin;
use std::time::Duration;

use idem_core::backend::Call;
use idem_core::error::Operation;
use idem_core::{ErrorKind, Key, Scope, Store};
use tokio::time::{Instant, advance, sleep};

use crate::support::{Fault, LEASE, Polling, Scripted, bob, encoded, key, lock, poll_times};

const WAIT: Duration = Duration::from_secs(10);

fn end(store: &Scripted, held: &idem_core::Lease) {
    let call = Call::Complete { token: held.token(), outcome: encoded("done"), retention: LEASE };
    store.decide(&key(), call);
}

/// The completion comes before, between and after the steps of the waiter. In paused time a missed wake-up would show
/// as a wait until the waiter looks again by itself.
#[tokio::test(start_paused = true)]
async fn completion_at_any_step_of_the_waiter_wakes_it_at_once() {
    for polls in 0..10 {
        let store = Scripted::new();
        let held = lock(&store, &bob()).await;
        let begun = Instant::now();
        let key = key();
        let mut settled = pin!(store.settled(&key, WAIT));
        assert!(poll_times(settled.as_mut(), polls));
        end(&store, &held);
        assert!(settled.await.unwrap());
        assert_eq!(begun.elapsed(), Duration::ZERO, "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn all_waiters_of_a_key_are_woken() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        waiters.spawn(async move { store.settled(&key(), WAIT).await.unwrap() });
    }
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    end(&store, &held);
    assert!(waiters.join_all().await.into_iter().all(|settled| settled));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn all_waiters_of_a_store_that_fails_for_good_are_told_at_once() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    let key = key();
    let mut settled = pin!(store.settled(&key, WAIT));
    assert!(poll_times(settled.as_mut(), 5));
    let begun = Instant::now();
    store.fail_always(Operation::Get, Fault::Before(ErrorKind::Closed));
    store.wake_all();
    assert_eq!(settled.await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn wake_up_for_another_key_does_not_end_a_wait() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    let other = store.clone();
    let noise = tokio::spawn(async move {
        // More keys than slots, so that some share the waiter's.
        for number in 0..5_000 {
            let key = Key::new(&Scope::shared(), format!("noise-{number}")).unwrap();
            other.decide(&key, Call::Remove { force: true });
            tokio::task::yield_now().await;
        }
    });
    assert!(!store.settled(&key(), WAIT).await.unwrap());
    noise.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lease_that_runs_out_ends_the_wait_without_a_wake_up() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    for (name, store) in both(&store) {
        let begun = Instant::now();
        assert!(store.settled(&key(), LEASE * 2).await.unwrap(), "{name}");
        assert!(begun.elapsed() < LEASE + Duration::from_secs(1), "{name}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn wait_is_over_after_its_time_and_not_before() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    for (name, store) in both(&store) {
        let begun = Instant::now();
        assert!(!store.settled(&key(), WAIT).await.unwrap(), "{name}");
        let over = begun.elapsed();
        assert!(over >= WAIT && over < WAIT + Duration::from_millis(10), "{name}: {over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wait_of_zero_reads_the_record_once() {
    let store = Scripted::new();
    for (name, waiting) in both(&store) {
        assert!(waiting.settled(&key(), Duration::ZERO).await.unwrap(), "{name}");
    }
    let _held = lock(&store, &bob()).await;
    let looks = store.count(Operation::Get);
    for (name, waiting) in both(&store) {
        assert!(!waiting.settled(&key(), Duration::ZERO).await.unwrap(), "{name}");
    }
    assert_eq!(store.count(Operation::Get), looks + 2);
}

#[tokio::test(start_paused = true)]
async fn wait_of_any_length_is_possible() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    for (_, waiting) in both(&store) {
        let key = key();
        let mut settled = pin!(waiting.settled(&key, Duration::MAX));
        assert!(poll_times(settled.as_mut(), 5));
    }
    end(&store, &held);
    for (name, waiting) in both(&store) {
        assert!(waiting.settled(&key(), Duration::MAX).await.unwrap(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn released_and_completed_keys_are_settled() {
    let store = Scripted::new();
    let held = lock(&store, &bob()).await;
    store.checkpoint(&held, 1, bytes::Bytes::new(), LEASE).await.map(drop).unwrap();
    store.release(&held).await.map(drop).unwrap();
    for (name, store) in both(&store) {
        assert!(store.settled(&key(), Duration::ZERO).await.unwrap(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_read_of_the_record_is_the_answer() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    for (name, waiting) in both(&store) {
        store.fail(Operation::Get, &[Fault::Before(ErrorKind::Unavailable)]);
        let error = waiting.settled(&key(), WAIT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn polling_backs_off_to_a_quarter_of_a_second() {
    let store = Scripted::new();
    let _held = lock(&store, &bob()).await;
    advance(Duration::from_secs(1)).await;
    assert!(!Polling(store.clone()).settled(&key(), WAIT).await.unwrap());
    let looks = store.times(Operation::Get);
    let pauses: Vec<_> = looks.windows(2).map(|pair| pair[1].abs_diff(pair[0]).as_millis()).collect();
    assert_eq!(pauses[..6], [5, 10, 20, 40, 80, 160]);
    assert!(pauses[6..pauses.len() - 1].iter().all(|pause| *pause == 250), "{pauses:?}");
}

/// A store that notifies and one that does not, over the same records.
fn both(store: &Scripted) -> [(&'static str, Box<dyn Store>); 2] {
    [("notified", Box::new(store.clone())), ("polling", Box::new(Polling(store.clone())))]
}
