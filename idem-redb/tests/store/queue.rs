//! The writer's queue: bounded, and drained when the store is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{Error, ErrorKind, Fenced, Lease, LockOutcome, Result, Store};
use idem_redb::{RedbStore, Transacted, WhenQueueFull};
use tokio::task::JoinSet;

use crate::support::call::{
    acquire, assert_replays, claim, complete, config, key, lock, open, replay, value,
};
use crate::support::disk::Disk;
use crate::support::workload::{LEASE, clock, fingerprint};

const PLACES: usize = 8;
const CALLERS: usize = 10 * PLACES;

#[tokio::test]
async fn a_full_queue_refuses_when_it_is_set_to() {
    let (acquired, refused) = crowd(WhenQueueFull::Refuse).await;
    println!("{PLACES} places, {CALLERS} callers: {acquired} acquired, {} refused", refused.len());
    assert!(acquired >= PLACES, "{acquired} callers found a place");
    assert!(!refused.is_empty(), "nobody was refused");
    assert!(refused.iter().all(|error| error.kind() == ErrorKind::Unavailable), "{refused:?}");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_by_default() {
    let (acquired, refused) = crowd(WhenQueueFull::default()).await;
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(acquired, CALLERS);
}

#[tokio::test]
async fn waiting_for_a_place_ends_in_a_timeout() {
    let disk = Disk::new();
    let mut config = config();
    config.queue = 1;
    config.call_timeout = Duration::from_millis(50);
    let store = open(&disk, config, &clock()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    disk.stall_syncs();
    let mut callers = JoinSet::new();
    for number in 1..10 {
        let store = store.clone();
        callers.spawn(async move { lock(&store, &key(number)).await.unwrap_err().kind() });
    }
    for kind in callers.join_all().await {
        assert_eq!(kind, ErrorKind::Timeout);
    }
    disk.release_syncs();
    // Sent again, until the writer has come through what it had begun.
    let applied = loop {
        match store.complete(&lease, value(0), lease.retention()).await {
            Ok(applied) => break applied,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
        }
    };
    assert_eq!(applied, Fenced::Applied);
    assert_replays(&store, 1).await;
}

/// Lets many callers come while a commit stalls; how many acquired, and what the others were told.
async fn crowd(when_queue_full: WhenQueueFull) -> (usize, Vec<Error>) {
    let disk = Disk::new();
    let mut config = config();
    (config.queue, config.when_queue_full) = (PLACES, when_queue_full);
    let store = open(&disk, config, &clock()).await.unwrap();
    disk.stall_syncs();
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move { lock(&store, &key(number)).await });
        if number == 0 {
            // The writer is in the middle of a commit: the others fill the queue behind it.
            disk.stalled().await;
        }
    }
    // Each of them runs until it waits, before this task is next.
    tokio::task::yield_now().await;
    disk.release_syncs();
    let (mut acquired, mut refused) = (0, Vec::new());
    for answer in callers.join_all().await {
        match answer {
            Ok(LockOutcome::Acquired(_)) => acquired += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => refused.push(error),
        }
    }
    (acquired, refused)
}

#[tokio::test]
async fn close_answers_what_was_asked_before_and_keeps_it() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let mut leases = Vec::new();
    for number in 0..30 {
        leases.push(acquire(&store, &key(number)).await);
    }
    disk.stall_syncs();
    let before = complete_all(&store, leases);
    disk.stalled().await;
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    tokio::task::yield_now().await;
    disk.release_syncs();
    closing.await.unwrap().unwrap();
    for answer in before.join_all().await {
        answer.unwrap();
    }

    let closed_at = disk.counts();
    assert_eq!(lock(&store, &key(0)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(lock(&store, &key(100)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.get(&key(0)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.expire(1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.compact().await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.close().await.unwrap();
    assert_eq!(disk.counts().calls, closed_at.calls, "a closed store used its disk");

    let store = open(&disk, config(), &clock).await.unwrap();
    assert_replays(&store, 30).await;
}

/// Half of them by `complete_with`, which is alone in its transaction.
fn complete_all(store: &RedbStore, leases: Vec<Lease>) -> JoinSet<Result<()>> {
    let mut callers = JoinSet::new();
    for (number, lease) in leases.into_iter().enumerate() {
        let store = store.clone();
        callers.spawn(async move {
            if number % 2 == 0 {
                store.complete(&lease, value(number), lease.retention()).await.map(|_| ())
            } else {
                let applied: Transacted<()> = store.complete_with(&lease, move |_| Ok(value(number))).await?;
                assert_eq!(applied, Transacted::Applied);
                Ok(())
            }
        });
    }
    callers
}

/// The last handle closes the file as `close` does.
#[tokio::test]
async fn a_dropped_store_lets_go_of_its_file() {
    let disk = Disk::new();
    let clock = clock();
    let store = open(&disk, config(), &clock).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    complete(&store, &lease, value(0)).await;
    drop(store);
    let store = loop {
        match open(&disk, config(), &clock).await {
            Ok(store) => break store,
            // Still being closed.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    };
    assert_eq!(replay(&store, &key(0)).await, value(0));
}

/// A dropped call is the call as it was, or as it would have been.
#[tokio::test]
async fn a_lock_dropped_before_its_commit_is_granted_or_not_and_found_again() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..20 {
        let claim = claim();
        let (key, fingerprint) = (key(number), fingerprint());
        disk.stall_syncs();
        let call = tokio::spawn({
            let store = store.clone();
            async move { store.lock(&key, &fingerprint, &claim).await }
        });
        disk.stalled().await;
        call.abort();
        disk.release_syncs();
        let again = store.lock(&key, &fingerprint, &claim).await.unwrap();
        let LockOutcome::Acquired(lease) = again else { panic!("{again:?}") };
        assert_eq!(lease.attempt(), 1);
        complete(&store, &lease, value(number)).await;
    }
    assert_replays(&store, 20).await;
}

/// Holders wait for one commit, however many new locks do.
#[tokio::test]
async fn a_holders_call_goes_before_a_full_queue_of_new_locks() {
    const LOCKS: usize = 3_000;
    let disk = Disk::new();
    let mut config = config();
    (config.quick_repair, config.queue) = (false, LOCKS / 2);
    let store = open(&disk, config, &clock()).await.unwrap();
    let (lease, other) = (acquire(&store, &key(0)).await, acquire(&store, &key(1)).await);
    disk.stall_syncs();
    let locked = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for number in 2..2 + LOCKS {
        let (store, locked) = (store.clone(), Arc::clone(&locked));
        callers.spawn(async move {
            acquire(&store, &key(number)).await;
            locked.fetch_add(1, Ordering::SeqCst);
        });
        if number == 2 {
            disk.stalled().await;
        }
    }
    // Half of them have places in the queue, and the others wait for one.
    tokio::task::yield_now().await;
    let mut renewed = tokio::spawn({
        let (store, lease) = (store.clone(), lease.clone());
        async move { store.renew(&lease, 2 * LEASE).await }
    });
    let completed = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&other, value(1), other.retention()).await }
    });
    tokio::task::yield_now().await;
    // Sync by sync, until the holder has its answer.
    disk.let_pass(1);
    let answer = loop {
        tokio::select! {
            answer = &mut renewed => break answer,
            () = disk.stalled() => disk.let_pass(1),
        }
    };
    assert_eq!(answer.unwrap().unwrap(), Fenced::Applied);
    assert_eq!(completed.await.unwrap().unwrap(), Fenced::Applied);
    let before = locked.load(Ordering::SeqCst);
    println!("{before} of {LOCKS} locks were answered before");
    assert!(before < LOCKS, "all {LOCKS} locks went before");
    disk.release_syncs();
    callers.join_all().await;
    assert_eq!(locked.load(Ordering::SeqCst), LOCKS);
    assert_eq!(store.release(&lease).await.unwrap(), Fenced::Applied);
}

/// A queue that refuses new locks has places for those who hold one.
#[tokio::test]
async fn a_holder_is_not_refused_because_new_locks_fill_the_queue() {
    let disk = Disk::new();
    let mut config = config();
    (config.queue, config.when_queue_full) = (PLACES, WhenQueueFull::Refuse);
    let store = open(&disk, config, &clock()).await.unwrap();
    let lease = acquire(&store, &key(0)).await;
    disk.stall_syncs();
    let mut callers = JoinSet::new();
    for number in 1..=CALLERS {
        let store = store.clone();
        callers.spawn(async move { lock(&store, &key(number)).await });
        if number == 1 {
            disk.stalled().await;
        }
    }
    tokio::task::yield_now().await;
    let renewal = tokio::spawn({
        let store = store.clone();
        async move { store.renew(&lease, 2 * LEASE).await }
    });
    tokio::task::yield_now().await;
    disk.release_syncs();
    assert_eq!(renewal.await.unwrap().unwrap(), Fenced::Applied);
    let refused = callers.join_all().await.into_iter().filter(Result::is_err).count();
    assert!(refused > 0, "the queue was never full");
}

/// Whoever releases and locks again finds the release done, whichever of the two goes first in the queue.
#[tokio::test]
async fn a_lock_sent_after_a_release_is_not_done_before_it() {
    let disk = Disk::new();
    let store = open(&disk, config(), &clock()).await.unwrap();
    for number in 0..20 {
        let claim = claim();
        let LockOutcome::Acquired(lease) = store.lock(&key(number), &fingerprint(), &claim).await.unwrap()
        else {
            panic!("key {number} is not free");
        };
        disk.stall_syncs();
        let first = tokio::spawn({
            let store = store.clone();
            async move { lock(&store, &key(1_000 + number)).await }
        });
        disk.stalled().await;
        // Holders' calls before and behind it, so that the release has company in its queue.
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
        assert_eq!(released.await.unwrap().unwrap(), Fenced::Applied);
        let LockOutcome::Acquired(anew) = again.await.unwrap().unwrap() else { panic!("key {number}") };
        assert_ne!(anew.token(), lease.token(), "the lock overtook the release of its own caller");
        assert_eq!(store.renew(&anew, LEASE).await.unwrap(), Fenced::Applied);
        assert!(matches!(first.await.unwrap().unwrap(), LockOutcome::Acquired(_)));
        others.join_all().await;
    }
}
