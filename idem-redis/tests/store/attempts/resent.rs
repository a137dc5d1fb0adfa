//! A resent request is the same call: no second holder, no lost holder, no false `Lost`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use idem_core::record::State;
use idem_core::{Claim, Effect, ErrorKind, Lease, LockAnswer, LostReason, Store};
use idem_redis::RedisStore;
use idem_servers::redis::{Pair, Server};
use tokio::task::JoinSet;

use crate::cutting_proxy::{Cut, CuttingProxy};
use crate::support::{acquire, assert_replays, claim, complete, config, fingerprint, key, kind, lock, value};

const ALWAYS: u32 = u32::MAX;
const LONG: Duration = Duration::from_secs(20);

/// A store whose connections can be cut, with its server and the proxy that cuts.
async fn cuttable(call_timeout: Duration) -> (Server, CuttingProxy, RedisStore) {
    let server = Server::lone().await;
    let proxy = CuttingProxy::before(&server).await;
    let mut config = config(&proxy.node());
    config.call_timeout = call_timeout;
    let store = RedisStore::open(config).await.unwrap();
    (server, proxy, store)
}

async fn lock_as(store: &RedisStore, name: &str, claim: &Claim) -> Lease {
    match store.lock(&key(name), &fingerprint(), claim).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{name}: {other:?}"),
    }
}

async fn assert_held(store: &RedisStore, name: &str) {
    match lock(store, name).await.unwrap() {
        LockAnswer::InProgress { .. } => {}
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_survives_a_cut_connection() {
    let (_server, proxy, store) = cuttable(LONG).await;
    for cut in [Cut::Before, Cut::After] {
        let name = format!("{cut:?}");
        let mine = claim();
        proxy.cut("SET", cut, 1);
        let lease = lock_as(&store, &name, &mine).await;
        assert!(proxy.is_done(), "lock {cut:?}: nothing was cut");
        assert_eq!(lease.attempt(), 1);
        assert_held(&store, &name).await;

        proxy.cut("EVALSHA", cut, 1);
        assert_eq!(store.renew(&lease, Duration::from_mins(1)).await.unwrap(), Effect::Applied);
        assert!(proxy.is_done(), "renew {cut:?}: nothing was cut");

        proxy.cut("EVALSHA", cut, 1);
        let progress = Bytes::from_static(b"charged");
        let saved = store.checkpoint(&lease, 1, progress, Duration::from_mins(1)).await.unwrap();
        assert_eq!(saved, Effect::Applied);
        assert!(proxy.is_done(), "checkpoint {cut:?}: nothing was cut");
        let record = store.get(lease.key()).await.unwrap().unwrap();
        assert_eq!(record.checkpoint().unwrap().progress, &b"charged"[..]);

        proxy.cut("EVALSHA", cut, 1);
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        assert!(proxy.is_done(), "complete {cut:?}: nothing was cut");
        assert_replays(&store, &name).await;

        let released = acquire(&store, &format!("released {cut:?}")).await;
        proxy.cut("EVALSHA", cut, 1);
        assert_eq!(store.release(&released).await.unwrap(), Effect::Applied);
        assert!(proxy.is_done(), "release {cut:?}: nothing was cut");
        assert!(store.get(released.key()).await.unwrap().is_none());

        let removed = acquire(&store, &format!("removed {cut:?}")).await;
        proxy.cut("EVALSHA", cut, 1);
        assert!(store.remove(removed.key(), true).await.unwrap());
        assert!(proxy.is_done(), "remove {cut:?}: nothing was cut");
    }
}

#[tokio::test]
async fn a_call_cut_until_its_timeout_succeeds_when_it_is_sent_again() {
    let (_server, proxy, store) = cuttable(Duration::from_secs(1)).await;
    for cut in [Cut::Before, Cut::After] {
        let name = format!("{cut:?}");
        let mine = claim();
        proxy.cut("SET", cut, ALWAYS);
        assert_eq!(kind(store.lock(&key(&name), &fingerprint(), &mine).await), ErrorKind::Timeout);
        proxy.heal();
        let lease = lock_as(&store, &name, &mine).await;
        assert_eq!(lease.attempt(), 1);
        assert_held(&store, &name).await;

        proxy.cut("EVALSHA", cut, ALWAYS);
        assert_eq!(kind(complete(&store, &lease).await), ErrorKind::Timeout);
        proxy.heal();
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        assert_replays(&store, &name).await;
    }
}

/// Locks `name` as soon as it is free. From then on no connection is cut.
async fn taken_over(next: &RedisStore, name: &str, proxy: &CuttingProxy) -> Lease {
    loop {
        if let LockAnswer::Acquired(taken) = lock(next, name).await.unwrap() {
            proxy.heal();
            return taken;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Between a release that was done and the resent one, another caller may lock the key.
#[tokio::test]
async fn a_resent_release_is_applied_although_the_next_holder_has_the_key() {
    let (server, proxy, store) = cuttable(LONG).await;
    let next = RedisStore::open(config(&server)).await.unwrap();
    let lease = acquire(&store, "quick").await;
    proxy.cut("EVALSHA", Cut::After, ALWAYS);
    let (released, taken) = tokio::join!(store.release(&lease), taken_over(&next, "quick", &proxy));
    assert_eq!(released.unwrap(), Effect::Applied);
    assert_eq!(complete(&next, &taken).await.unwrap(), Effect::Applied);
}

/// When the lease is over, another caller may take the key over without any release.
#[tokio::test]
async fn a_release_resent_after_the_lease_reports_a_takeover() {
    let (server, proxy, store) = cuttable(LONG).await;
    let next = RedisStore::open(config(&server)).await.unwrap();
    let mine = Claim { lease: Duration::from_millis(200), ..claim() };
    let lease = lock_as(&store, "late", &mine).await;
    proxy.cut("EVALSHA", Cut::Before, ALWAYS);
    let (released, taken) = tokio::join!(store.release(&lease), taken_over(&next, "late", &proxy));
    assert_eq!(released.unwrap(), Effect::Lost(LostReason::Superseded));
    assert_eq!(taken.attempt(), 2);
}

#[tokio::test]
async fn a_connection_lost_between_a_write_and_its_wait_acknowledges_nothing() {
    let pair = Pair::start(1).await;
    let proxy = CuttingProxy::before(pair.master()).await;
    let store = RedisStore::open(config(&proxy.node())).await.unwrap();
    let replica = &pair.replicas()[0];
    for cut in [Cut::Before, Cut::After] {
        // The stopped replica gets no write: only a `WAIT` on a connection without a write could succeed.
        let name = format!("not replicated {cut:?}");
        let mine = claim();
        replica.stop();
        proxy.cut("WAIT", cut, 1);
        assert_eq!(kind(store.lock(&key(&name), &fingerprint(), &mine).await), ErrorKind::Timeout);
        assert!(proxy.is_done(), "{cut:?}: nothing was cut");
        replica.cont();
        pair.wait_ok().await;
        assert_eq!(lock_as(&store, &name, &mine).await.attempt(), 1);

        // The replica gets every write: the write is sent again, and waited for on the connection that made it.
        let name = format!("replicated {cut:?}");
        proxy.cut("WAIT", cut, 1);
        assert_eq!(lock_as(&store, &name, &mine).await.attempt(), 1);
        assert!(proxy.is_done(), "{cut:?}: nothing was cut");
        assert_eq!(replica.run(&["EXISTS", &store.redis_key(&key(&name))]).await.text(), "1");
    }
}

#[tokio::test]
async fn flushed_scripts_are_sent_again_by_every_call() {
    let (server, _proxy, store) = cuttable(LONG).await;
    let flush = || server.run(&["SCRIPT", "FLUSH"]);
    for round in 0..3 {
        let name = format!("order {round}");
        flush().await;
        let lease = acquire(&store, &name).await;
        flush().await;
        assert_held(&store, &name).await;
        flush().await;
        assert_eq!(store.renew(&lease, Duration::from_mins(1)).await.unwrap(), Effect::Applied);
        flush().await;
        let saved = store.checkpoint(&lease, 1, Bytes::new(), Duration::from_mins(1)).await.unwrap();
        assert_eq!(saved, Effect::Applied);
        flush().await;
        assert!(!store.settled(lease.key(), Duration::from_millis(10)).await.unwrap());
        flush().await;
        assert!(store.get(lease.key()).await.unwrap().is_some());
        flush().await;
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        flush().await;
        assert!(store.remove(lease.key(), false).await.unwrap());
        let lease = acquire(&store, &name).await;
        flush().await;
        assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    }
}

/// Each caller resends until it is answered, as the contract demands; its key must have had one attempt.
#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_under_load_lose_and_duplicate_nothing() {
    let server = Server::lone().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (store, enough) = (store.clone(), Arc::clone(&enough));
        callers.spawn(async move {
            let mut turn = 0;
            while !enough.load(Ordering::Relaxed) {
                once(&store, &format!("{caller}-{turn}")).await;
                turn += 1;
            }
        });
    }
    let mut kills = 0;
    while kills < 20 {
        // Does not kill the connection that sends it.
        kills += server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await.text().parse::<u32>().unwrap();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    enough.store(true, Ordering::Relaxed);
    callers.join_all().await;
}

async fn once(store: &RedisStore, name: &str) {
    let mine = claim();
    let lease = loop {
        match store.lock(&key(name), &fingerprint(), &mine).await {
            Ok(LockAnswer::Acquired(lease)) => break lease,
            Ok(other) => panic!("{name}: {other:?}"),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable)),
        }
    };
    assert_eq!(lease.attempt(), 1, "{name}: its holder was lost");
    loop {
        match complete(store, &lease).await {
            Ok(effect) => break assert_eq!(effect, Effect::Applied, "{name}"),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_calls_leave_a_valid_record_and_mix_up_no_answers() {
    let server = Server::lone().await;
    let store = RedisStore::open(config(&server)).await.unwrap();
    let witness = acquire(&store, "witness").await;
    let mut found = [0; 2];
    for round in 0..300_u64 {
        let name = format!("order {round}");
        let mine = claim();
        let polls = round % 4;
        drop_after(polls, store.lock(&key(&name), &fingerprint(), &mine)).await;
        // Another call on the same connection gets the answer about its own key.
        let record = store.get(witness.key()).await.unwrap().unwrap();
        assert_eq!(record.token, witness.token());
        let done = store.get(&key(&name)).await.unwrap();
        found[usize::from(done.is_some())] += 1;
        if let Some(record) = done {
            assert!(matches!(record.state, State::Locked(_)));
            assert_eq!(record.token.owner, mine.owner);
        }
        let lease = lock_as(&store, &name, &mine).await;
        assert_eq!(lease.attempt(), 1);
        drop_after(polls, store.complete(&lease, value(), lease.retention())).await;
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        assert_replays(&store, &name).await;
    }
    assert!(found.iter().all(|count| *count > 0), "every drop came at the same moment: {found:?}");
}

/// Drops `call` after so many polls. Timers are too coarse: a call takes tens of microseconds.
async fn drop_after<F: Future>(polls: u64, call: F) {
    let mut call = std::pin::pin!(call);
    for _ in 0..polls {
        if std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
