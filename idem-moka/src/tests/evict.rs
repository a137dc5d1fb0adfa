//! `when_full = "evict"`: completed records are evicted to make room, and locked ones never are.

use bytes::Bytes;
use idem_core::scan::{RecordState, Scan};
use idem_core::{Effect, ErrorKind, Lease, LockAnswer, Outcome, Store};

use super::support::{LEASE, RETENTION, acquire, complete, key, lock, outcome, replays, store};
use crate::evict::evictable_records::EvictableRecords;
use crate::{MokaConfig, MokaStore, RECORD_OVERHEAD, WhenFull};

const EVICT: MokaConfig = MokaConfig {
    max_bytes: 64 * 1024,
    max_entries: 1_000,
    max_locks: 1_000,
    max_outcome: 32 * 1024,
    when_full: WhenFull::Evict,
    max_share_per_scope: 0.9,
};

fn evictable(store: &MokaStore) -> &EvictableRecords {
    store.records().evictable.as_ref().unwrap()
}

/// Entries in the expiry index, records in moka, and completed records as counted. They must be equal.
fn counted(store: &MokaStore) -> (usize, usize, u64) {
    let (notes, kept) = evictable(store).len();
    (notes, kept, store.stats().completed)
}

#[tokio::test]
async fn completed_records_make_room_within_max_bytes_and_are_counted() {
    let (store, _) = store(EVICT);
    for number in 0..2_000 {
        complete(&store, number, 512).await;
    }
    let (notes, kept, completed) = counted(&store);
    let stats = store.stats();
    assert_eq!((notes, kept as u64), (kept, completed));
    assert_eq!((completed + stats.evicted, stats.refused), (2_000, 0));
    assert_eq!(stats.bytes, completed * (512 + RECORD_OVERHEAD));
    assert!(stats.bytes <= EVICT.max_bytes, "{stats:?}");
    assert!(completed >= 60, "of 64 that have room: {stats:?}");
}

#[tokio::test]
async fn small_records_make_room_within_max_entries() {
    let (store, _) = store(MokaConfig { max_bytes: 1 << 20, max_entries: 50, ..EVICT });
    for number in 0..500 {
        complete(&store, number, 0).await;
    }
    let (_, kept, completed) = counted(&store);
    assert_eq!(kept as u64, completed);
    assert!((40..=50).contains(&completed), "{:?}", store.stats());
}

#[tokio::test]
async fn the_least_recently_used_goes_first() {
    let (store, _) = store(EVICT);
    for number in 0..60 {
        complete(&store, number, 512).await;
    }
    evictable(&store).run_pending_tasks();
    assert!(replays(&store, 0).await);
    for number in 60..100 {
        complete(&store, number, 512).await;
        assert!(replays(&store, 0).await, "used all the time, at {number}");
        evictable(&store).run_pending_tasks();
    }
    assert!(!replays(&store, 1).await);
}

#[tokio::test]
async fn a_live_lock_is_never_evicted() {
    let (store, _) = store(EVICT);
    let mut leases: Vec<Lease> = Vec::new();
    for number in 0..500 {
        leases.push(acquire(&store, number).await);
    }
    for number in 1_000..3_000 {
        complete(&store, number, 512).await;
    }
    assert!(store.stats().evicted > 1_000);
    for (number, lease) in leases.iter().enumerate() {
        assert!(matches!(lock(&store, number, 2).await.unwrap(), LockAnswer::InProgress { .. }), "{number}");
        assert_eq!(store.renew(lease, LEASE).await.unwrap(), Effect::Applied, "{number}");
    }
    assert_eq!(store.stats().locks, 500);
}

#[tokio::test]
async fn an_evicted_key_starts_over_with_a_higher_sequence() {
    let (store, _) = store(EVICT);
    let first = acquire(&store, 0).await;
    assert_eq!(store.complete(&first, outcome(512), RETENTION).await.unwrap(), Effect::Applied);
    for number in 1..200 {
        complete(&store, number, 512).await;
    }
    let LockAnswer::Acquired(again) = lock(&store, 0, 2).await.unwrap() else { panic!("not evicted") };
    assert_eq!(again.attempt(), 1);
    assert!(again.token().sequence > first.token().sequence);
}

#[tokio::test]
async fn the_largest_outcome_is_kept() {
    let config = MokaConfig { max_bytes: 32 * 1024 + RECORD_OVERHEAD, ..EVICT };
    let (store, _) = store(config);
    complete(&store, 0, 32 * 1024).await;
    evictable(&store).run_pending_tasks();
    assert!(replays(&store, 0).await);
    complete(&store, 1, 32 * 1024).await;
    evictable(&store).run_pending_tasks();
    assert!(replays(&store, 1).await && !replays(&store, 0).await);
}

#[tokio::test]
async fn a_record_evicted_after_its_expiry_is_not_counted_as_evicted() {
    let (store, clock) = store(EVICT);
    for number in 0..60 {
        complete(&store, number, 512).await;
    }
    clock.advance(RETENTION);
    for number in 60..120 {
        complete(&store, number, 512).await;
    }
    let (notes, kept, completed) = counted(&store);
    assert_eq!((notes, kept as u64), (kept, completed));
    assert_eq!(store.stats().evicted, 0);
}

#[tokio::test]
async fn locks_and_checkpoints_are_bounded_too() {
    let (store, _) = store(MokaConfig { max_locks: 3, ..EVICT });
    let mut leases = Vec::new();
    for number in 0..3 {
        leases.push(acquire(&store, number).await);
    }
    assert_eq!(lock(&store, 3, 1).await.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(store.release(&leases[2]).await.unwrap(), Effect::Applied);
    let progress = Bytes::from(vec![0; 32 * 1024]);
    for lease in &leases[..2] {
        assert_eq!(store.checkpoint(lease, 1, progress.clone(), LEASE).await.unwrap(), Effect::Applied);
    }
    assert_eq!(
        lock(&store, 3, 1).await.unwrap_err().kind(),
        ErrorKind::Full,
        "no byte for checkpoints is left"
    );
    assert_eq!(store.release(&leases[0]).await.unwrap(), Effect::Applied);
    assert!(store.remove(&key(0), true).await.unwrap());
    let _lease = acquire(&store, 3).await;
    assert_eq!(store.stats().refused, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_are_exact_after_threads_have_completed_removed_and_evicted_the_same_keys() {
    let (store, clock) = store(EVICT);
    let tasks: Vec<_> = (1..=4_u8)
        .map(|task| {
            let (store, clock) = (store.clone(), clock.clone());
            tokio::spawn(async move {
                for round in 0..3_000_usize {
                    let number = round * usize::from(task) % 300;
                    if let LockAnswer::Acquired(lease) = lock(&store, number, task).await.unwrap() {
                        let outcome = Outcome::Value(vec![task; round % 2_000].into());
                        let _effect = store.complete(&lease, outcome, RETENTION).await.unwrap();
                    }
                    match round % 97 {
                        0 => clock.advance(RETENTION / 10),
                        1 => _ = store.remove(&key(number), true).await.unwrap(),
                        _ => {}
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (notes, kept, completed) = counted(&store);
    assert_eq!((notes, kept as u64), (kept, completed));
    assert!(store.stats().bytes <= EVICT.max_bytes + store.stats().locks * RECORD_OVERHEAD);
    clock.advance(LEASE + RETENTION);
    while store.expire(100).await.unwrap().more {}
    let stats = store.stats();
    assert_eq!((stats.locks, stats.completed, stats.bytes), (0, 0, 0));
}

#[tokio::test]
async fn all_records_are_listed_wherever_they_are_kept() {
    let (store, clock) = store(MokaConfig { max_bytes: 64 << 20, max_entries: 10_000, ..EVICT });
    let mut expected = Vec::new();
    for number in 0..700 {
        complete(&store, number, 16).await;
        expected.push(key(number));
        if number % 100 == 0 {
            // Outcomes of one moment and of others.
            clock.advance(LEASE / 20);
        }
    }
    for number in 700..720 {
        expected.push(*acquire(&store, number).await.key());
    }
    expected.sort_unstable();
    for limit in [1, 7, 128, 129, 1_000, 10_000] {
        let (scan, mut listed, mut after) = (Scan::all().with_limit(limit), Vec::new(), None);
        loop {
            let page = store.scan(&scan, after.as_ref()).await.unwrap();
            assert!(page.examined <= limit);
            listed.extend(page.entries.into_iter().map(|entry| entry.key));
            assert!(listed.len() <= expected.len(), "pages of {limit}");
            let Some(next) = page.next else { break };
            after = Some(next.to_string().parse().unwrap());
        }
        listed.sort_unstable();
        assert_eq!(listed, expected, "pages of {limit}");
    }
    let held = store.scan(&Scan::all().with_state(RecordState::Held).with_limit(10_000), None).await.unwrap();
    assert_eq!((held.entries.len(), held.examined, held.next), (20, 20, None));
}
