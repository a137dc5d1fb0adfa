//! The writer's queue: bounded, and drained when the store is closed.

use std::time::Duration;

use idem_core::{Effect, Error, ErrorKind, Lease, LockAnswer, Result, Store};
use idem_redb::{RedbStore, Transacted, WhenQueueFull};
use tokio::task::JoinSet;

use crate::support::call::{
    acquire, assert_replays, claim, complete, config, key, lock, open, replay, value,
};
use crate::support::disk::Disk;
use crate::support::workload::{clock, fingerprint};

const PLACES: usize = 8;
const CALLERS: usize = 10 * PLACES;

#[tokio::test]
async fn a_full_queue_refuses_when_it_is_set_to() {
    let (acquired, refused) = overfill_queue(WhenQueueFull::Refuse).await;
    println!("{PLACES} places, {CALLERS} callers: {acquired} acquired, {} refused", refused.len());
    assert!(acquired >= PLACES, "{acquired} callers found a place");
    assert!(!refused.is_empty(), "nobody was refused");
    assert!(refused.iter().all(|error| error.kind() == ErrorKind::Unavailable), "{refused:?}");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_by_default() {
    let (acquired, refused) = overfill_queue(WhenQueueFull::default()).await;
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
    // Sent again, until the writer has worked through what it had begun.
    let applied = loop {
        match store.complete(&lease, value(0), lease.retention()).await {
            Ok(applied) => break applied,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
        }
    };
    assert_eq!(applied, Effect::Applied);
    assert_replays(&store, 1).await;
}

/// Sends more locks than the queue has places, while a commit stalls. Returns how many acquired their key, and the
/// errors of the others.
async fn overfill_queue(when_queue_full: WhenQueueFull) -> (usize, Vec<Error>) {
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
    // Each caller runs until it waits, before this task runs again.
    tokio::task::yield_now().await;
    disk.release_syncs();
    let (mut acquired, mut refused) = (0, Vec::new());
    for answer in callers.join_all().await {
        match answer {
            Ok(LockAnswer::Acquired(_)) => acquired += 1,
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
    assert_eq!(lock(&store, &key(0)).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(lock(&store, &key(100)).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.get(&key(0)).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.expire(1).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.compact().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.stats().await.unwrap_err().kind(), ErrorKind::Closed);
    store.close().await.unwrap();
    assert_eq!(disk.counts().calls, closed_at.calls, "a closed store used its disk");

    let store = open(&disk, config(), &clock).await.unwrap();
    assert_replays(&store, 30).await;
}

/// Completes every lease, half of them by `complete_with`, which is alone in its transaction.
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

/// A call that is dropped is carried out whole or not at all, and sending it again tells which.
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
        let LockAnswer::Acquired(lease) = again else { panic!("{again:?}") };
        assert_eq!(lease.attempt(), 1);
        complete(&store, &lease, value(number)).await;
    }
    assert_replays(&store, 20).await;
}
