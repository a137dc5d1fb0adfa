//! Holders' calls go before new locks, and the calls of one caller keep their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, LockAnswer, Outcome, Store};
use idem_redb::{QuickRepair, RedbStore, WhenQueueFull};
use tokio::task::JoinSet;

use crate::support::call::{acquire, claim, complete, config, key, lock, open, value};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock, fingerprint};

/// A holder waits for one commit, however many new locks are queued.
#[tokio::test]
async fn a_holders_call_goes_before_a_full_queue_of_new_locks() {
    const LOCKS: usize = 8_000;
    let disk = Disk::new();
    let mut config = config();
    (config.quick_repair, config.queue) = (QuickRepair::Never, LOCKS / 2);
    let store = open(&disk, config, &clock()).await.unwrap();
    make_room(&store).await;
    let (lease, other) = (acquire(&store, &key(0)).await, acquire(&store, &key(1)).await);
    disk.stall_syncs();
    let (asked, locked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for number in 2..2 + LOCKS {
        let (store, asked, locked) = (store.clone(), Arc::clone(&asked), Arc::clone(&locked));
        callers.spawn(async move {
            asked.fetch_add(1, Ordering::SeqCst);
            acquire(&store, &key(number)).await;
            locked.fetch_add(1, Ordering::SeqCst);
        });
        if number == 2 {
            disk.stalled().await;
        }
    }
    // Half of them have places in the queue, and the others wait for one.
    until(&asked, LOCKS).await;
    let (renewing, asking) = (lease.clone(), Arc::clone(&asked));
    let mut renewed = tokio::spawn({
        let store = store.clone();
        async move {
            asking.fetch_add(1, Ordering::SeqCst);
            store.renew(&renewing, 2 * LEASE).await
        }
    });
    let asking = Arc::clone(&asked);
    let completed = tokio::spawn({
        let store = store.clone();
        async move {
            asking.fetch_add(1, Ordering::SeqCst);
            store.complete(&other, value(1), other.retention()).await
        }
    });
    until(&asked, LOCKS + 2).await;
    // Lets one sync at a time pass, until the holder has its answer.
    disk.let_pass(1);
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut renewed => break answer,
            () = disk.stalled() => disk.let_pass(1),
        }
    };
    assert_eq!(answer.unwrap().unwrap(), Effect::Applied);
    assert_eq!(completed.await.unwrap().unwrap(), Effect::Applied);
    let before = locked.load(Ordering::SeqCst);
    println!("{before} of {LOCKS} locks were answered before the holder");
    // The locks of the commit under way, of the next one, and at most of one more that was quick.
    assert!(before < LOCKS / 2, "{before} locks were answered before the holder");
    disk.release_syncs();
    callers.join_all().await;
    assert_eq!(locked.load(Ordering::SeqCst), LOCKS);
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
}

/// A queue that refuses new locks still has room for holders' calls.
#[tokio::test]
async fn a_holder_is_not_refused_because_new_locks_fill_the_queue() {
    let disk = Disk::new();
    let mut config = config();
    (config.queue, config.when_queue_full) = (8, WhenQueueFull::Refuse);
    let store = open(&disk, config, &clock()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    disk.stall_syncs();
    let mut callers = JoinSet::new();
    for number in 1..=80 {
        let store = store.clone();
        callers.spawn(async move { lock(&store, &key(number)).await });
        if number == 1 {
            disk.stalled().await;
        }
    }
    // While no commit ends, the first answer is a refusal.
    let refused = callers.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let renewal = tokio::spawn({
        let store = store.clone();
        async move { store.renew(&lease, 2 * LEASE).await }
    });
    tokio::task::yield_now().await;
    disk.release_syncs();
    assert_eq!(renewal.await.unwrap().unwrap(), Effect::Applied);
    callers.join_all().await;
}

/// A caller that releases and then locks again finds its release done, though the two calls wait in different queues.
#[tokio::test]
async fn a_lock_sent_after_a_release_is_not_done_before_it() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..20 {
        let claim = claim();
        let LockAnswer::Acquired(lease) = store.lock(&key(number), &fingerprint(), &claim).await.unwrap()
        else {
            panic!("key {number} is not free");
        };
        disk.stall_syncs();
        let first = tokio::spawn({
            let store = store.clone();
            async move { lock(&store, &key(1_000 + number)).await }
        });
        disk.stalled().await;
        // Other holders' calls ahead of the release, so that it has to wait in its queue.
        let mut others = JoinSet::new();
        for _ in 0..number {
            let (store, lease) = (store.clone(), lease.clone());
            others.spawn(async move { store.renew(&lease, LEASE).await });
        }
        tokio::task::yield_now().await;
        let released = tokio::spawn({
            let (store, lease) = (store.clone(), lease.clone());
            async move { store.release(&lease).await }
        });
        tokio::task::yield_now().await;
        let again = tokio::spawn({
            let store = store.clone();
            async move { store.lock(&key(number), &fingerprint(), &claim).await }
        });
        tokio::task::yield_now().await;
        disk.release_syncs();
        assert_eq!(released.await.unwrap().unwrap(), Effect::Applied);
        let LockAnswer::Acquired(anew) = again.await.unwrap().unwrap() else { panic!("key {number}") };
        assert_ne!(anew.token(), lease.token(), "the lock overtook the release of its own caller");
        assert_eq!(store.renew(&anew, LEASE).await.unwrap(), Effect::Applied);
        assert!(matches!(first.await.unwrap().unwrap(), LockAnswer::Acquired(_)));
        others.join_all().await;
    }
}

async fn until(count: &AtomicUsize, reached: usize) {
    while count.load(Ordering::SeqCst) < reached {
        tokio::task::yield_now().await;
    }
}

/// redb syncs when the file grows in the middle of a transaction, and a read that begins meanwhile waits for that sync.
/// So the file gets free pages before syncs are stalled.
async fn make_room(store: &RedbStore) {
    let lease = acquire(store, &key(1_000_000)).await;
    complete(store, &lease, Outcome::Value(Bytes::from(vec![8; 8 << 20]))).await;
    assert!(store.remove(lease.key(), true).await.unwrap());
    // Pages that a commit frees can be used by the commit after the next.
    for number in 1_000_001..1_000_004 {
        acquire(store, &key(number)).await;
    }
}
