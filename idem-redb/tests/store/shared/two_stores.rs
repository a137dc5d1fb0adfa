//! Two stores on one shared database, which is not the intended use: even so no key has two holders, and no outcome
//! overwrites another.

use std::sync::Arc;
use std::time::Duration;

use idem_core::clock::ManualClock;
use idem_core::{LockAnswer, Store};
use idem_redb::RedbStore;
use redb::Database;
use tokio::task::JoinSet;

use crate::support::call::{
    acquire, assert_replays, at, complete, key, lock, new_database, shared_config, value,
};
use crate::support::workload::{LEASE, shared};

const NOON: u64 = 1_800_000_000;

/// The second store is opened after the wall clock was stepped; from then on both stores have the same time.
#[tokio::test]
async fn a_lease_granted_by_one_is_live_for_the_other_whatever_the_wall_clock_did() {
    for stepped in [NOON + 3_600, NOON - 3_600] {
        let (database, clock) = (new_database(), ManualClock::new(at(NOON)));
        let first = share(&database, &clock).await;
        clock.set_wall(at(stepped));
        let second = share(&database, &clock).await;
        for (number, (one, other)) in [(&first, &second), (&second, &first)].into_iter().enumerate() {
            let lease = acquire(one, &key(number)).await;
            let answer = lock(other, &key(number)).await.unwrap();
            let LockAnswer::InProgress { remaining } = answer else { panic!("two holders: {answer:?}") };
            assert!(remaining <= LEASE, "{remaining:?} are left of {LEASE:?}");
            // Neither store extends a lease that the other one granted.
            clock.advance(LEASE);
            let successor = acquire(other, &key(number)).await;
            assert_eq!(successor.attempt(), 2);
            assert!(successor.token().sequence > lease.token().sequence);
            complete(other, &successor, value(number)).await;
        }
        assert_replays(&first, 2).await;
        assert_replays(&second, 2).await;
    }
}

/// All outcomes have the same time and the same retention, so only their number tells them apart.
#[tokio::test]
async fn outcomes_of_two_stores_do_not_overwrite_one_another() {
    const KEYS: usize = 200;
    let (database, clock) = (new_database(), ManualClock::new(at(NOON)));
    let stores = [share(&database, &clock).await, share(&database, &clock).await];
    let mut callers = JoinSet::new();
    for number in 0..KEYS {
        let store = stores[number % 2].clone();
        callers.spawn(async move {
            let lease = acquire(&store, &key(number)).await;
            complete(&store, &lease, value(number)).await;
        });
    }
    callers.join_all().await;
    assert_replays(&stores[0], KEYS).await;
    assert_replays(&stores[1], KEYS).await;
}

/// Sequences rise across removal, whichever store removed the record.
#[tokio::test]
async fn sequences_rise_from_store_to_store() {
    let (database, clock) = (new_database(), ManualClock::new(at(NOON)));
    let stores = [share(&database, &clock).await, share(&database, &clock).await];
    let mut last = 0;
    for round in 0..20 {
        let lease = acquire(&stores[round % 2], &key(0)).await;
        assert!(lease.token().sequence > last, "round {round}");
        last = lease.token().sequence;
        assert!(stores[round / 2 % 2].remove(&key(0), true).await.unwrap());
    }
}

/// The time of the new database is ahead of the store's.
#[tokio::test]
async fn a_store_takes_over_the_time_of_a_database_supplied_anew() {
    let clock = ManualClock::new(at(NOON));
    let first = share(&new_database(), &clock).await;
    let further = new_database();
    let ahead = ManualClock::new(at(NOON + 3_600));
    let second = share(&further, &ahead).await;
    acquire(&second, &key(0)).await;
    second.close().await.unwrap();
    first.replace_database(further).await.unwrap();
    let answer = lock(&first, &key(0)).await.unwrap();
    let LockAnswer::InProgress { remaining } = answer else { panic!("{answer:?}") };
    assert!(remaining <= LEASE, "{remaining:?} are left of {LEASE:?}");
    clock.advance(LEASE);
    assert_eq!(acquire(&first, &key(0)).await.attempt(), 2);
    assert!(first.get(&key(0)).await.unwrap().unwrap().as_of >= at(NOON + 3_600) + Duration::from_secs(1));
}

async fn share(database: &Arc<Database>, clock: &ManualClock) -> RedbStore {
    RedbStore::builder(shared_config())
        .clock(shared(clock))
        .with_database(Arc::clone(database))
        .await
        .unwrap()
}
