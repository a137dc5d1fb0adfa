//! No bound refuses a holder or the takeover of a known key, whatever the store holds.

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, Execution, Lease, LockAnswer, Outcome, Policy, Store, StoreExt};

use super::support::{LEASE, RETENTION, acquire, fingerprint, key, lock, outcome, store};
use crate::{MokaConfig, MokaStore, RECORD_OVERHEAD, WhenFull};

const LARGEST: usize = 8 * 1024;
const SMALL: MokaConfig = MokaConfig {
    max_bytes: 16 * 1024,
    max_entries: 10,
    max_locks: 5,
    max_outcome: LARGEST as u64,
    when_full: WhenFull::Refuse,
    max_share_per_scope: 0.9,
};
const EACH: [WhenFull; 2] = [WhenFull::Refuse, WhenFull::Evict];

fn progress(byte: u8, bytes: usize) -> Bytes {
    Bytes::from(vec![byte; bytes])
}

async fn checkpoint(store: &MokaStore, lease: &Lease, step: u64, bytes: usize) -> idem_core::Result<Effect> {
    store.checkpoint(lease, step, progress(1, bytes), LEASE).await
}

/// A store with three held keys, and two completed ones that take more than `max_bytes`.
async fn over_full(when_full: WhenFull) -> (MokaStore, idem_core::clock::ManualClock, Vec<Lease>) {
    let (store, clock) = store(MokaConfig { when_full, ..SMALL });
    let mut held = Vec::new();
    for number in 0..3 {
        held.push(acquire(&store, number).await);
    }
    let others = [acquire(&store, 10).await, acquire(&store, 11).await];
    for lease in &others {
        assert_eq!(store.complete(lease, outcome(LARGEST), RETENTION).await.unwrap(), Effect::Applied);
    }
    if when_full == WhenFull::Refuse {
        assert!(store.stats().bytes > SMALL.max_bytes);
        assert_eq!(lock(&store, 12, 1).await.unwrap_err().kind(), ErrorKind::Full);
    }
    (store, clock, held)
}

#[tokio::test]
async fn holders_of_an_over_full_store_renew_checkpoint_complete_and_release() {
    for when_full in EACH {
        let (store, _, held) = over_full(when_full).await;
        for lease in &held {
            assert_eq!(store.renew(lease, LEASE).await.unwrap(), Effect::Applied, "{when_full:?}");
        }
        for (step, bytes) in [(1, 100), (2, LARGEST), (3, 0), (4, LARGEST)] {
            for lease in &held {
                let saved = checkpoint(&store, lease, step, bytes).await;
                assert_eq!(saved.unwrap(), Effect::Applied, "{when_full:?}, step {step}");
                assert_eq!(store.renew(lease, LEASE).await.unwrap(), Effect::Applied, "{when_full:?}");
            }
        }
        let [one, two, three] = &held[..] else { panic!("three are held") };
        assert_eq!(store.release(one).await.unwrap(), Effect::Applied, "with its checkpoint");
        assert_eq!(store.complete(two, outcome(LARGEST), RETENTION).await.unwrap(), Effect::Applied);
        assert_eq!(store.complete(three, outcome(1), RETENTION).await.unwrap(), Effect::Applied);
        let LockAnswer::Acquired(next) = lock(&store, 0, 2).await.unwrap() else { panic!("not resumed") };
        assert_eq!((next.attempt(), next.checkpoint().unwrap().step), (2, 4), "{when_full:?}");
    }
}

#[tokio::test]
async fn a_known_key_is_taken_over_in_an_over_full_store() {
    for when_full in EACH {
        let (store, clock, held) = over_full(when_full).await;
        assert_eq!(checkpoint(&store, &held[0], 1, LARGEST).await.unwrap(), Effect::Applied);
        clock.advance(LEASE);
        for number in 0..3 {
            let answer = lock(&store, number, 2).await.unwrap();
            let LockAnswer::Acquired(lease) = answer else { panic!("{when_full:?}: {answer:?}") };
            assert_eq!(lease.attempt(), 2);
            assert_eq!(store.complete(&lease, outcome(1), RETENTION).await.unwrap(), Effect::Applied);
        }
    }
}

/// Completions make the store over-full while other work outlasts its first lease. Its renewals must pass, or a second
/// caller would get the key while the first is at work.
#[tokio::test(start_paused = true)]
async fn work_that_outlasts_its_lease_in_an_over_full_store_keeps_its_key() {
    for when_full in EACH {
        let (store, clock) = store(MokaConfig { when_full, ..SMALL });
        let others = [acquire(&store, 10).await, acquire(&store, 11).await];
        let work = |lease: Lease| {
            let (store, clock) = (store.clone(), clock.clone());
            async move {
                for lease in &others {
                    let effect = store.complete(lease, outcome(LARGEST), RETENTION).await.unwrap();
                    assert_eq!(effect, Effect::Applied);
                }
                for _ in 0..50 {
                    tokio::time::sleep(LEASE / 10).await;
                    clock.advance(LEASE / 10);
                    let asked = lock(&store, 2, 9).await.unwrap();
                    assert!(matches!(asked, LockAnswer::InProgress { .. }), "{when_full:?}: {asked:?}");
                }
                Ok::<_, ()>(Outcome::Value(Bytes::from(lease.attempt().to_string())))
            }
        };
        let policy = Policy::new(LEASE, RETENTION);
        let ended = store.execute_outcome(&key(2), &fingerprint(), &policy, work).await.unwrap();
        assert!(
            matches!(&ended, Execution::Executed(Outcome::Value(attempt)) if attempt == "1"),
            "{when_full:?}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn checkpoints_exceed_max_bytes_by_no_more_than_max_locks_times_max_outcome() {
    for when_full in EACH {
        let (store, _) = store(MokaConfig { when_full, max_entries: 100, ..SMALL });
        let mut leases = Vec::new();
        for number in 0..5 {
            leases.push(acquire(&store, number).await);
        }
        for lease in &leases {
            assert_eq!(checkpoint(&store, lease, 1, LARGEST).await.unwrap(), Effect::Applied);
        }
        let most = SMALL.max_locks * (SMALL.max_outcome + RECORD_OVERHEAD);
        assert_eq!(store.stats().bytes, most, "{when_full:?}");
        assert_eq!(store.release(&leases[0]).await.unwrap(), Effect::Applied);
        assert!(store.remove(&key(0), true).await.unwrap());
        // One more lock is allowed, but no byte of checkpoints.
        let error = lock(&store, 5, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{when_full:?}");
        assert!(error.message().contains("max_bytes"), "{error}");
        for lease in &leases[1..] {
            assert_eq!(checkpoint(&store, lease, 2, 0).await.unwrap(), Effect::Applied);
        }
        let _lease = acquire(&store, 5).await;
    }
}
