//! Concurrent calls share a connection and its system calls: each is answered as if it were the only one.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Effect, ErrorKind, Fingerprint, Lease, LockAnswer, LostReason, Outcome, Result, Store};
use idem_redis::RedisStore;
use idem_servers::redis::{Node, Server};
use tokio::task::JoinSet;

use crate::cutting_proxy::{Cut, CuttingProxy};
use crate::support::{
    acquire, assert_replays, claim, complete, completed, config, key, kind, lock, lone, value,
};

/// Runs `calls` concurrently, and returns their answers in the order of the calls.
async fn at_once<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut running = JoinSet::new();
    for (number, call) in calls.into_iter().enumerate() {
        running.spawn(async move { (number, call.await) });
    }
    let mut answers = running.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn lock_all(store: &RedisStore, names: impl IntoIterator<Item = String>) -> Vec<Result<LockAnswer>> {
    at_once(names.into_iter().map(|name| {
        let store = store.clone();
        async move { lock(&store, &name).await }
    }))
    .await
}

async fn complete_all(store: &RedisStore, leases: &[Lease]) -> Vec<Result<Effect>> {
    at_once(leases.iter().cloned().map(|lease| {
        let store = store.clone();
        async move { complete(&store, &lease).await }
    }))
    .await
}

async fn assert_all_complete(store: &RedisStore, leases: &[Lease]) {
    assert!(complete_all(store, leases).await.into_iter().all(|effect| effect.unwrap() == Effect::Applied));
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("order {number}"))
}

fn leases(answers: Vec<Result<LockAnswer>>) -> Vec<Lease> {
    let lease = |answer| match answer {
        Ok(LockAnswer::Acquired(lease)) => lease,
        other => panic!("{other:?}"),
    };
    answers.into_iter().map(lease).collect()
}

/// How many commands the server has run, and how often it has read from a connection.
async fn commands_and_reads(server: &Node) -> [u64; 2] {
    let message = server.run(&["INFO", "stats"]).await;
    ["total_commands_processed", "total_reads_processed"]
        .map(|field| message.field(field).unwrap().parse().unwrap())
}

/// On a single thread, where sharing is certain.
#[tokio::test]
async fn concurrent_calls_share_a_system_call() {
    let (server, store) = lone().await;
    let mut before = commands_and_reads(&server).await;
    let held = leases(lock_all(&store, names(50)).await);
    for round in ["lock", "complete", "replay"] {
        match round {
            "complete" => assert_all_complete(&store, &held).await,
            "replay" => assert!(lock_all(&store, names(50)).await.into_iter().all(|answer| matches!(
                answer,
                Ok(LockAnswer::Completed(replay)) if replay.outcome == value()
            ))),
            _ => {}
        }
        let after = commands_and_reads(&server).await;
        let [commands, reads] = [0, 1].map(|at| after[at] - before[at]);
        before = after;
        // The reads include those for these figures and for checks of the server.
        assert!(commands >= 50 && reads <= 10, "{round}: {commands} commands in {reads} reads");
    }
}

#[tokio::test]
async fn each_of_many_concurrent_locks_gets_its_own_answer() {
    let (server, store) = lone().await;
    acquire(&store, "held").await;
    completed(&store, "done").await;
    server.run(&["RPUSH", &store.redis_key(&key("a list")), "1"]).await;
    server.run(&["SET", &store.redis_key(&key("garbage")), "\u{1}garbage"]).await;
    let other = Fingerprint::builder("test").part("another request").finish();
    let locks = ["first", "fresh", "done", "held", "a list", "garbage", "fresh too", "fresh"];
    let mut answers = lock_all(&store, locks.map(String::from)).await.into_iter();
    let mut next = || answers.next().unwrap();
    assert!(matches!(next(), Ok(LockAnswer::Acquired(_))));
    assert!(matches!(next(), Ok(LockAnswer::Acquired(_))));
    assert!(matches!(next(), Ok(LockAnswer::Completed(replay)) if replay.outcome == value()));
    assert!(matches!(next(), Ok(LockAnswer::InProgress { .. })));
    assert_eq!(kind(next()), ErrorKind::Corrupt);
    assert_eq!(kind(next()), ErrorKind::Corrupt);
    assert!(matches!(next(), Ok(LockAnswer::Acquired(_))));
    assert!(matches!(next(), Ok(LockAnswer::InProgress { .. })), "locked by the earlier call");
    let mismatches = at_once(["fresh too", "done", "held"].map(|name| {
        let store = store.clone();
        async move { store.lock(&key(name), &other, &claim()).await.unwrap() }
    }));
    for answer in mismatches.await {
        assert!(matches!(answer, LockAnswer::FingerprintMismatch), "{answer:?}");
    }
}

#[tokio::test]
async fn each_of_many_concurrent_holders_gets_its_own_answer() {
    let (server, store) = lone().await;
    let held = leases(
        lock_all(
            &store,
            ["first", "held", "gone", "superseded", "completed", "garbage", "a list"].map(String::from),
        )
        .await,
    );
    for name in ["gone", "superseded"] {
        assert!(store.remove(&key(name), true).await.unwrap());
    }
    let overtaking = acquire(&store, "superseded").await;
    assert_eq!(complete(&store, &held[4]).await.unwrap(), Effect::Applied);
    server.run(&["SET", &store.redis_key(&key("garbage")), "\u{1}garbage"]).await;
    server.run(&["DEL", &store.redis_key(&key("a list"))]).await;
    server.run(&["RPUSH", &store.redis_key(&key("a list")), "1"]).await;

    let mut answers = complete_all(&store, &held).await.into_iter();
    let mut next = || answers.next().unwrap();
    assert_eq!(next().unwrap(), Effect::Applied);
    assert_eq!(next().unwrap(), Effect::Applied);
    assert_eq!(next().unwrap(), Effect::Lost(LostReason::Gone));
    assert_eq!(next().unwrap(), Effect::Lost(LostReason::Superseded));
    assert_eq!(next().unwrap(), Effect::Applied, "its own completion");
    assert_eq!(kind(next()), ErrorKind::Corrupt);
    assert_eq!(kind(next()), ErrorKind::Corrupt);
    assert_eq!(complete(&store, &overtaking).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn many_concurrent_calls_with_large_outcomes_succeed() {
    let (_server, store) = lone().await;
    let held = leases(lock_all(&store, names(300)).await);
    let outcome = |number: usize| {
        let length = if number.is_multiple_of(7) { 100_000 } else { 1_000 + number };
        Outcome::Value(Bytes::from(vec![u8::try_from(number % 251).unwrap(); length]))
    };
    let done = at_once(held.into_iter().enumerate().map(|(number, lease)| {
        let store = store.clone();
        async move { store.complete(&lease, outcome(number), lease.retention()).await }
    }));
    assert!(done.await.into_iter().all(|effect| effect.unwrap() == Effect::Applied));
    for (number, answer) in lock_all(&store, names(300)).await.into_iter().enumerate() {
        assert!(matches!(answer, Ok(LockAnswer::Completed(it)) if it.outcome == outcome(number)), "{number}");
    }
}

#[tokio::test]
async fn a_flushed_script_is_sent_again_by_concurrent_calls() {
    let (server, store) = lone().await;
    server.run(&["SCRIPT", "FLUSH"]).await;
    let held = leases(lock_all(&store, names(20)).await);
    server.run(&["SCRIPT", "FLUSH"]).await;
    assert_all_complete(&store, &held).await;
}

#[tokio::test]
async fn a_server_out_of_memory_refuses_concurrent_new_keys_and_replays_completed_ones() {
    let (server, store) = lone().await;
    completed(&store, "done").await;
    let held = leases(lock_all(&store, names(5)).await);
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let answers = lock_all(&store, ["new", "new too", "done", "newest"].map(String::from)).await;
    let is_full = |answer: &Result<_>| matches!(answer, Err(error) if error.kind() == ErrorKind::Full);
    assert_eq!(answers.iter().map(is_full).collect::<Vec<_>>(), [true, true, false, true]);
    assert!(matches!(answers[2], Ok(LockAnswer::Completed(_))));
    // The outcomes of granted leases are still stored.
    assert_all_complete(&store, &held).await;
    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_all_complete(&store, &held).await;
}

#[tokio::test]
async fn an_unmet_min_replicas_to_write_fails_each_concurrent_call_without_effect() {
    let (server, store) = lone().await;
    let held = leases(lock_all(&store, names(5)).await);
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    for answer in complete_all(&store, &held).await {
        assert_eq!(kind(answer), ErrorKind::Unavailable);
    }
    server.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    assert_all_complete(&store, &held).await;
}

#[tokio::test]
async fn a_connection_cut_before_or_after_many_calls_loses_and_duplicates_nothing() {
    let server = Server::lone().await;
    let proxy = CuttingProxy::before(&server).await;
    let mut config = config(&proxy.node());
    config.call_timeout = Duration::from_secs(20);
    let store = RedisStore::open(config).await.unwrap();
    for cut in [Cut::Before, Cut::After] {
        let names: Vec<_> = names(20).map(|name| format!("{name} {cut:?}")).collect();
        proxy.cut("SET", cut, 1);
        let held = leases(lock_all(&store, names.clone()).await);
        assert!(proxy.is_done(), "lock {cut:?}: nothing was cut");
        assert!(held.iter().all(|lease| lease.attempt() == 1), "{cut:?}: a holder was lost");

        proxy.cut("EVALSHA", cut, 1);
        let done = complete_all(&store, &held).await;
        assert!(proxy.is_done(), "complete {cut:?}: nothing was cut");
        assert!(done.into_iter().all(|effect| effect.unwrap() == Effect::Applied), "{cut:?}");
        for name in names {
            assert_replays(&store, &name).await;
        }
    }
}

#[tokio::test]
async fn concurrent_calls_to_a_hanging_server_end_in_time() {
    let (server, store) = lone().await;
    let held = leases(lock_all(&store, names(20)).await);
    server.stop();
    let answers = tokio::time::timeout(Duration::from_secs(10), complete_all(&store, &held)).await.unwrap();
    for answer in answers {
        assert_eq!(kind(answer), ErrorKind::Timeout);
    }
    server.cont();
    assert_all_complete(&store, &held).await;
}
