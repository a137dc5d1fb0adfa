//! A flood of one scope affects no other scope: others are served, and the flooding scope is served again later.

use idem_core::{Effect, ErrorKind, Key, Lease, LockAnswer, Result, Scope, Store};
use proptest::prelude::*;

use super::support::{LEASE, RETENTION, claim, fingerprint, outcome, store};
use crate::{MokaConfig, MokaStore, RECORD_OVERHEAD, WhenFull};

const TWO_MIB: MokaConfig = MokaConfig {
    max_bytes: 2 << 20,
    max_entries: 1_000_000,
    max_locks: 100_000,
    max_outcome: 1 << 20,
    when_full: WhenFull::Refuse,
    max_share_per_scope: 0.9,
};

fn scope(number: usize) -> Scope {
    Scope::new(format!("account {number}")).unwrap()
}

async fn lock(store: &MokaStore, scope: &Scope, number: usize, owner: u8) -> Result<LockAnswer> {
    let key = Key::new(scope, number.to_string()).unwrap();
    store.lock(&key, &fingerprint(), &claim(owner)).await
}

async fn acquire(store: &MokaStore, scope: &Scope, number: usize) -> Result<Lease> {
    match lock(store, scope, number, 1).await? {
        LockAnswer::Acquired(lease) => Ok(lease),
        other => panic!("key {number}: {other:?}"),
    }
}

async fn complete(store: &MokaStore, scope: &Scope, number: usize) -> Result<()> {
    let lease = acquire(store, scope, number).await?;
    assert_eq!(store.complete(&lease, outcome(10), RETENTION).await.unwrap(), Effect::Applied);
    Ok(())
}

/// How many of `requests` a scope completes before its share refuses it.
async fn flood(store: &MokaStore, scope: &Scope, requests: usize) -> usize {
    for number in 0..requests {
        if let Err(error) = complete(store, scope, number).await {
            assert_eq!(error.kind(), ErrorKind::Full);
            assert!(error.message().contains("max_share_per_scope"), "{error}");
            return number;
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn a_scope_that_floods_the_store_is_refused_and_the_others_are_served() {
    let (store, clock) = store(TWO_MIB);
    let flooding = scope(0);
    let held = acquire(&store, &flooding, 1_000_000).await.unwrap();
    let kept = flood(&store, &flooding, 4_009).await;
    let room = (TWO_MIB.max_bytes / (RECORD_OVERHEAD + 10)) as usize;
    assert!((room * 8 / 10..=room * 9 / 10).contains(&kept), "{kept} of {room}");

    for account in 1..=20 {
        for number in 0..10 {
            complete(&store, &scope(account), number).await.unwrap();
        }
    }
    for number in 0..kept {
        let replayed = lock(&store, &flooding, number, 2).await.unwrap();
        assert!(matches!(replayed, LockAnswer::Completed(_)), "key {number}: {replayed:?}");
    }
    assert_eq!(store.renew(&held, LEASE).await.unwrap(), Effect::Applied);
    let saved = store.checkpoint(&held, 1, vec![1; 1 << 20].into(), LEASE).await.unwrap();
    assert_eq!(saved, Effect::Applied);
    clock.advance(LEASE);
    let LockAnswer::Acquired(next) = lock(&store, &flooding, 1_000_000, 2).await.unwrap() else {
        panic!("a known key of the flooding scope is not taken over")
    };
    assert_eq!(store.complete(&next, outcome(10), RETENTION).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn a_scope_at_its_share_is_served_again_as_its_records_expire() {
    for when_full in [WhenFull::Refuse, WhenFull::Evict] {
        let (store, clock) = store(MokaConfig { when_full, max_locks: 200, ..TWO_MIB });
        let flooding = scope(0);
        let mut crashed = 0;
        while acquire(&store, &flooding, crashed).await.is_ok() {
            crashed += 1;
        }
        assert_eq!(crashed, 180, "nine tenths of max_locks");
        let error = acquire(&store, &flooding, crashed).await.unwrap_err();
        assert!(error.message().contains("max_share_per_scope"), "{error}");
        let _other = acquire(&store, &scope(1), 0).await.unwrap();
        clock.advance(LEASE + RETENTION);
        for number in 0..180 {
            let _lease = acquire(&store, &flooding, 1_000 + number).await.unwrap();
        }
    }
}

#[tokio::test]
async fn expired_outcomes_of_a_scope_make_room_for_it() {
    let (store, clock) = store(TWO_MIB);
    let kept = flood(&store, &scope(0), 4_009).await;
    clock.advance(RETENTION);
    for number in 0..kept {
        complete(&store, &scope(0), 10_000 + number).await.unwrap();
    }
}

#[tokio::test]
async fn several_flooding_scopes_get_less_each_and_leave_room_for_a_newcomer() {
    let (store, _) = store(TWO_MIB);
    let room = (TWO_MIB.max_bytes / (RECORD_OVERHEAD + 10)) as usize;
    let mut kept = [0; 5];
    for number in 0..4_009 {
        for (account, kept) in kept.iter_mut().enumerate() {
            *kept += usize::from(complete(&store, &scope(account), number).await.is_ok());
        }
    }
    // Each gets 9 / (1 + 9 * 5) of the store.
    for kept in kept {
        assert!((room * 18 / 100..=room * 21 / 100).contains(&kept), "{kept} of {room}");
    }
    for number in 0..20 {
        complete(&store, &scope(9), number).await.unwrap();
    }
}

#[tokio::test]
async fn the_shared_scope_and_a_share_of_one_may_fill_the_store() {
    for (scope, max_share_per_scope) in [(Scope::shared(), 0.1), (scope(0), 1.0)] {
        let (store, _) = store(MokaConfig { max_entries: 50, max_share_per_scope, ..TWO_MIB });
        for number in 0..50 {
            complete(&store, &scope, number).await.unwrap();
        }
        let error = complete(&store, &scope, 50).await.unwrap_err();
        assert!(error.message().contains("max_entries = 50"), "{error}");
        assert_eq!(store.records().usage.scopes.len(), 0, "a scope without a share is counted");
    }
}

#[tokio::test]
async fn the_first_record_of_a_scope_has_only_the_bounds_of_the_store() {
    let (store, _) = store(MokaConfig { max_locks: 1, max_share_per_scope: 0.01, ..TWO_MIB });
    for account in 0..10 {
        complete(&store, &scope(account), 0).await.unwrap();
    }
}

#[tokio::test]
async fn each_bound_has_its_share() {
    for (config, bound) in [
        (MokaConfig { max_entries: 100, ..TWO_MIB }, "max_entries = 100"),
        (MokaConfig { max_bytes: 1 << 20, max_outcome: 1 << 10, ..TWO_MIB }, "max_bytes = 1048576"),
        (MokaConfig { max_locks: 100, ..TWO_MIB }, "max_locks = 100"),
    ] {
        let (store, _) = store(config);
        let error = loop {
            let number = usize::try_from(store.stats().completed + store.stats().locks).unwrap();
            let Ok(lease) = acquire(&store, &scope(0), number).await else {
                break acquire(&store, &scope(0), number).await.unwrap_err();
            };
            if !bound.starts_with("max_locks") {
                assert_eq!(store.complete(&lease, outcome(1_000), RETENTION).await.unwrap(), Effect::Applied);
            }
        };
        assert!(error.message().contains(bound), "{error}");
        complete(&store, &scope(1), 0).await.unwrap();
    }
}

#[tokio::test]
async fn checkpoints_have_their_share_under_evict() {
    let (store, _) = store(MokaConfig { when_full: WhenFull::Evict, ..TWO_MIB });
    let progress = vec![0; 1 << 20];
    let held = acquire(&store, &scope(0), 0).await.unwrap();
    let other = acquire(&store, &scope(0), 1).await.unwrap();
    for lease in [&held, &other] {
        let saved = store.checkpoint(lease, 1, progress.clone().into(), LEASE).await.unwrap();
        assert_eq!(saved, Effect::Applied);
    }
    assert_eq!(store.release(&other).await.unwrap(), Effect::Applied);
    assert!(store.remove(other.key(), true).await.unwrap());
    complete(&store, &scope(0), 2).await.unwrap();
    let saved = store.checkpoint(&held, 2, vec![0; 1 << 20].into(), LEASE).await.unwrap();
    assert_eq!(saved, Effect::Applied);
    let another = acquire(&store, &scope(0), 3).await.unwrap();
    let saved = store.checkpoint(&another, 1, vec![0; (1 << 20) - 10_000].into(), LEASE).await.unwrap();
    assert_eq!(saved, Effect::Applied);
    let error = acquire(&store, &scope(0), 4).await.unwrap_err();
    assert!(error.message().contains("max_share_per_scope"), "{error}");
    complete(&store, &scope(1), 0).await.unwrap();
}

/// One call of a random run, on one of a few keys of a few scopes.
#[derive(Debug, Clone, Copy)]
struct Step {
    account: usize,
    number: usize,
    call: usize,
    bytes: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..4_usize, 0..12_usize, 0..8_usize, 0..2_000_usize)
        .prop_map(|(account, number, call, bytes)| Step { account, number, call, bytes });
    proptest::collection::vec(step, 1..300)
}

async fn run(when_full: WhenFull, steps: &[Step]) {
    let config =
        MokaConfig { max_bytes: 40_000, max_entries: 60, max_locks: 20, max_outcome: 4_096, ..TWO_MIB };
    let (store, clock) = store(MokaConfig { when_full, ..config });
    let mut leases: Vec<Lease> = Vec::new();
    for (owner, Step { account, number, call, bytes }) in (0..=255).cycle().zip(steps.iter().copied()) {
        let lease = (!leases.is_empty()).then(|| leases[number % leases.len()].clone());
        match (call, lease) {
            (0..=2, _) => {
                if let Ok(LockAnswer::Acquired(lease)) = lock(&store, &scope(account), number, owner).await {
                    leases.push(lease);
                }
            }
            (3, Some(lease)) => {
                let _ = store.complete(&lease, outcome(bytes), RETENTION).await.unwrap();
            }
            (4, Some(lease)) => {
                let step = store
                    .get(lease.key())
                    .await
                    .unwrap()
                    .and_then(|record| record.checkpoint().map(|checkpoint| checkpoint.step + 1));
                let progress = vec![1; bytes].into();
                let _ = store.checkpoint(&lease, step.unwrap_or(1), progress, LEASE).await.unwrap();
            }
            (5, Some(lease)) => _ = store.release(&lease).await.unwrap(),
            (6, _) => {
                let key = Key::new(&scope(account), number.to_string()).unwrap();
                _ = store.remove(&key, true).await.unwrap();
            }
            _ => clock.advance(if bytes < 300 { RETENTION } else { LEASE / 2 }),
        }
        let usage = &store.records().usage;
        usage.scopes.assert_sums(&store.stats());
    }
    clock.advance(LEASE + RETENTION);
    while store.expire(100).await.unwrap().more {}
    let (stats, usage) = (store.stats(), &store.records().usage);
    assert_eq!((stats.locks, stats.completed, stats.bytes), (0, 0, 0));
    assert_eq!(usage.scopes.len(), 0, "a scope that holds nothing is counted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_of_scopes_add_up_after_every_call_and_are_zero_in_the_end(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for when_full in [WhenFull::Refuse, WhenFull::Evict] {
            runtime.block_on(run(when_full, &steps));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scopes_that_come_and_go_on_many_threads_are_counted_exactly() {
    let (store, _) = store(TWO_MIB);
    let tasks: Vec<_> = (0..4_usize)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..5_000 {
                    let lease = acquire(&store, &scope(round % 3), task * 10_000 + round).await.unwrap();
                    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((store.stats().locks, store.stats().bytes, store.records().usage.scopes.len()), (0, 0, 0));
}
