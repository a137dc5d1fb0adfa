//! Expired records are gone for every caller at once, and are removed from memory soon.

use std::time::Duration;

use bytes::Bytes;
use idem_core::record::State;
use idem_core::{Effect, Expired, LockAnswer, Outcome, Store};

use super::support::{LEASE, RETENTION, acquire, complete, key, lock, outcome, replays, store};
use crate::MokaConfig;
use crate::hash::HashedKey;
use crate::shards::table::{Entry, Table};

#[tokio::test]
async fn a_completed_record_is_replayed_up_to_its_expiry_and_not_at_it() {
    let (store, clock) = store(MokaConfig::default());
    complete(&store, 1, 10).await;
    clock.advance(just_before(RETENTION));
    assert!(replays(&store, 1).await);
    assert!(store.get(&key(1)).await.unwrap().is_some());
    clock.advance(Duration::from_micros(1));
    assert!(store.get(&key(1)).await.unwrap().is_none());
    assert_eq!(acquire(&store, 1).await.attempt(), 1);
    assert_eq!((store.stats().locks, store.stats().completed), (1, 0), "the expired record is gone");
}

#[tokio::test]
async fn expire_removes_at_most_its_budget_and_says_whether_more_remain() {
    let (store, clock) = store(MokaConfig::default());
    for number in 0..100 {
        complete(&store, number, 10).await;
    }
    for number in 100..150 {
        let _crashed = acquire(&store, number).await;
    }
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: 0, more: false });
    clock.advance(RETENTION);
    assert_eq!(store.expire(0).await.unwrap(), Expired { removed: 0, more: true });
    assert_eq!(store.expire(60).await.unwrap(), Expired { removed: 60, more: true });
    assert_eq!(store.expire(40).await.unwrap(), Expired { removed: 40, more: false });
    clock.advance(LEASE);
    assert_eq!(store.expire(1_000).await.unwrap(), Expired { removed: 50, more: false });
    let stats = store.stats();
    assert_eq!((stats.locks, stats.completed, stats.bytes), (0, 0, 0));
}

#[tokio::test]
async fn expire_yields_to_other_tasks() {
    let (store, clock) = store(MokaConfig::default());
    for number in 0..1_000 {
        complete(&store, number, 10).await;
    }
    clock.advance(RETENTION);
    let sweeper = tokio::spawn({
        let store = store.clone();
        async move { store.expire(1_000).await.unwrap() }
    });
    let mut turns = 0;
    while !sweeper.is_finished() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(sweeper.await.unwrap().removed, 1_000);
    assert!(turns >= 1_000 / 16, "{turns}");
}

#[tokio::test]
async fn completions_also_remove_expired_outcomes() {
    let (store, clock) = store(MokaConfig::default());
    for number in 0..10_000 {
        complete(&store, number, 10).await;
        clock.advance(RETENTION / 100);
    }
    let completed = store.stats().completed;
    assert!((100..1_000).contains(&completed), "{completed} of 10,000, of which 100 are unexpired");
}

#[tokio::test]
async fn locks_also_remove_expired_locks() {
    let (store, clock) = store(MokaConfig::default());
    for number in 0..10_000 {
        let _crashed = acquire(&store, number).await;
        clock.advance((LEASE + RETENTION) / 100);
    }
    let locks = store.stats().locks;
    assert!((100..1_000).contains(&locks), "{locks} of 10,000, of which 100 are unexpired");
}

#[tokio::test]
async fn renewals_leave_a_bounded_number_of_notes_and_the_last_one_applies() {
    let (store, clock) = store(MokaConfig::default());
    let lease = acquire(&store, 1).await;
    for _ in 0..10_000 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    }
    let notes: usize = store.records().shards.iter().map(|shard| shard.read().locked.notes()).sum();
    assert!(notes <= 10, "{notes} notes of one record");
    clock.advance(just_before(LEASE + RETENTION));
    assert_eq!(store.expire(10).await.unwrap().removed, 0);
    clock.advance(Duration::from_micros(1));
    assert_eq!(store.expire(10).await.unwrap().removed, 1);
}

#[tokio::test]
async fn a_lapsed_lock_keeps_its_checkpoint_for_its_retention() {
    let (store, clock) = store(MokaConfig::default());
    let lease = acquire(&store, 1).await;
    assert_eq!(
        store.checkpoint(&lease, 3, Bytes::from_static(b"charged"), LEASE).await.unwrap(),
        Effect::Applied
    );
    clock.advance(just_before(LEASE + RETENTION));
    assert_eq!(store.expire(10).await.unwrap().removed, 0);
    let LockAnswer::Acquired(next) = lock(&store, 1, 2).await.unwrap() else { panic!("not taken over") };
    assert_eq!((next.attempt(), next.checkpoint().unwrap().step), (2, 3));
}

#[tokio::test]
async fn keys_with_the_same_hash_are_each_removed_when_they_expire() {
    let (store, _) = store(MokaConfig::default());
    complete(&store, 1, 10).await;
    let template = store.get(&key(1)).await.unwrap().unwrap();
    let now = template.as_of;
    let mut records = Table::default();
    for (number, retention) in [(1, 10), (2, 30), (3, 20), (4, 20)] {
        let mut record = template.clone();
        let State::Completed(completed) = &mut record.state else { panic!("not completed") };
        completed.expires_at = now + Duration::from_secs(retention);
        records.insert(Entry::new(HashedKey::with_hash(7, key(number)), record, None));
    }
    for seconds in 0..=30 {
        let now = now + Duration::from_secs(seconds);
        while records.pop_expired(now, &mut 100).is_some() {}
        for (number, retention) in [(1, 10), (2, 30), (3, 20), (4, 20)] {
            let kept = records.get(&HashedKey::with_hash(7, key(number))).is_some();
            assert_eq!(kept, seconds < retention, "key {number} after {seconds} s");
        }
    }
    assert_eq!(records.notes(), 0);
}

#[tokio::test]
async fn keys_that_are_completed_removed_and_completed_again_leave_a_bounded_number_of_notes() {
    let (store, _) = store(MokaConfig::default());
    for round in 0..2_000 {
        complete(&store, round % 3, 10).await;
        assert!(store.remove(&key(round % 3), true).await.unwrap());
    }
    let (mut locked, mut completed) = (0, 0);
    for shard in store.records().shards.iter() {
        let records = shard.read();
        locked += records.locked.notes();
        completed += records.completed.notes();
    }
    assert!(locked <= 30 && completed <= 30, "{locked} and {completed} notes of no record");
}

#[tokio::test]
async fn a_sweep_gets_past_any_number_of_outdated_notes() {
    let (store, clock) = store(MokaConfig::default());
    for number in 0..10_000 {
        let lease = acquire(&store, number).await;
        if number % 100 > 0 {
            assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
        }
    }
    clock.advance(LEASE + RETENTION);
    let mut removed = 0;
    loop {
        let expired = store.expire(7).await.unwrap();
        removed += expired.removed;
        if !expired.more {
            break;
        }
    }
    assert_eq!((removed, store.stats().locks), (100, 0));
}

#[tokio::test]
async fn outcomes_are_shared_not_copied() {
    let (store, _) = store(MokaConfig::default());
    let lease = acquire(&store, 1).await;
    let bytes = Bytes::from(vec![1; 10_000]);
    let effect = store.complete(&lease, Outcome::Value(bytes.clone()), RETENTION).await.unwrap();
    assert_eq!(effect, Effect::Applied);
    let LockAnswer::Completed(replay) = lock(&store, 1, 2).await.unwrap() else { panic!("no replay") };
    let Outcome::Value(replayed) = replay.outcome else { panic!("no value") };
    assert_eq!(replayed.as_ptr(), bytes.as_ptr());
    assert_eq!(store.complete(&lease, outcome(1), RETENTION).await.unwrap(), Effect::Applied);
    assert_eq!(store.get(&key(1)).await.unwrap().unwrap().outcome(), Some(&Outcome::Value(bytes)));
}

fn just_before(duration: Duration) -> Duration {
    duration.saturating_sub(Duration::from_micros(1))
}
