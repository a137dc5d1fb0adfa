//! Waiting for replicas.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, LockAnswer, Store};
use idem_redis::{Acks, RedisConfig, RedisStore};
use idem_servers::redis::{Node, Pair};
use tokio::task::JoinSet;

use crate::support::{
    acquire, assert_replays, calls_of, claim, complete, completed, config, fingerprint, key, kind, lock,
    refusal,
};

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn by_default_all_replicas_present_at_opening_must_hold_a_write() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    completed(&store, "order").await;
    let name = store.redis_key(&key("order"));
    // The replica has the write by the time that the call is answered.
    assert_eq!(pair.replicas()[0].run(&["EXISTS", &name]).await.text(), "1");
    assert!(waits(pair.master()).await >= 2);
}

#[tokio::test]
async fn a_silent_replica_makes_writes_time_out_and_resent_calls_succeed_later() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    completed(&store, "done").await;
    let held = acquire(&store, "held").await;
    let replica = &pair.replicas()[0];
    replica.stop();

    let mine = claim();
    let limit = Duration::from_secs(4);
    let locked = tokio::time::timeout(limit, store.lock(&key("new"), &fingerprint(), &mine)).await.unwrap();
    assert_eq!(kind(locked), ErrorKind::Timeout);
    let ended = tokio::time::timeout(limit, complete(&store, &held)).await.unwrap();
    assert_eq!(kind(ended), ErrorKind::Timeout);
    // A resent call is not answered from the master's record alone.
    assert_eq!(kind(store.lock(&key("new"), &fingerprint(), &mine).await), ErrorKind::Timeout);
    assert_eq!(kind(complete(&store, &held).await), ErrorKind::Timeout);
    assert_replays(&store, "done").await;

    replica.cont();
    pair.wait_ok().await;
    let lease = match store.lock(&key("new"), &fingerprint(), &mine).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("{other:?}"),
    };
    assert_eq!(lease.attempt(), 1);
    assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
    assert_eq!(complete(&store, &held).await.unwrap(), Effect::Applied);
    assert_replays(&store, "held").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_share_a_wait() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    let before = waits(pair.master()).await;
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let store = store.clone();
        callers.spawn(async move {
            for turn in 0..20 {
                acquire(&store, &format!("{caller}-{turn}")).await;
            }
        });
    }
    callers.join_all().await;
    let waits = waits(pair.master()).await - before;
    assert!(waits < 64 * 20 / 2, "{waits} for {} writes", 64 * 20);
}

#[tokio::test]
async fn without_acks_no_write_waits_and_only_confirmed_replays_wait() {
    let pair = Pair::start(1).await;
    let mut plain = config(pair.master());
    plain.acks = Some(Acks::Count(0));
    let store = RedisStore::open(plain).await.unwrap();
    let before = waits(pair.master()).await;
    completed(&store, "order").await;
    assert_eq!(waits(pair.master()).await, before);

    let store = RedisStore::open(config(pair.master())).await.unwrap();
    let opened = waits(pair.master()).await;
    assert_replays(&store, "order").await;
    assert_eq!(waits(pair.master()).await, opened);

    let mut confirming = config(pair.master());
    confirming.confirm_replays = true;
    let store = RedisStore::open(confirming).await.unwrap();
    let opened = waits(pair.master()).await;
    assert_replays(&store, "order").await;
    assert_eq!(waits(pair.master()).await, opened + 1);
    pair.replicas()[0].stop();
    assert_eq!(kind(lock(&store, "order").await), ErrorKind::Timeout);
    pair.replicas()[0].cont();
}

/// `WAIT` for the stopped replica lasts longer than the test may.
#[tokio::test]
async fn replays_and_reads_never_queue_behind_calls_that_wait_for_replicas() {
    let pair = Pair::start(1).await;
    let mut patient = config(pair.master());
    (patient.ack_timeout, patient.response_timeout) = (LONG, LONG * 2);
    patient.call_timeout = LONG;
    let store = RedisStore::open(patient).await.unwrap();
    completed(&store, "done").await;
    pair.replicas()[0].stop();
    let lockers: Vec<_> = (0..4)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { lock(&store, &format!("new {number}")).await })
        })
        .collect();
    while pair.master().run(&["INFO", "clients"]).await.field("blocked_clients").as_deref() != Some("1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answered = async {
        for _ in 0..100 {
            assert_replays(&store, "done").await;
            assert!(store.get(&key("done")).await.unwrap().is_some());
        }
    };
    tokio::time::timeout(LONG / 2, answered).await.unwrap();
    assert!(lockers.iter().all(|locker| !locker.is_finished()));
    pair.replicas()[0].cont();
    for locker in lockers {
        assert!(matches!(locker.await.unwrap(), Ok(LockAnswer::Acquired(_))));
    }
}

/// A configuration with a user `idem`, which may do everything until a test forbids it `WAIT`.
async fn with_user(pair: &Pair) -> RedisConfig {
    let user = ["ACL", "SETUSER", "idem", "on", ">secret", "~*", "&*", "+@all"];
    pair.master().run(&user).await;
    let mut config = config(pair.master());
    (config.username, config.password) = (Some("idem".to_owned()), Some("secret".to_owned()));
    config
}

#[tokio::test]
async fn a_user_who_may_not_call_wait_is_refused_when_opening() {
    let pair = Pair::start(1).await;
    let mut config = with_user(&pair).await;
    pair.master().run(&["ACL", "SETUSER", "idem", "-wait"]).await;
    let (kind, message) = refusal(config.clone()).await;
    assert!(kind == ErrorKind::InvalidConfig && message.contains("wait"), "{message}");
    config.acks = Some(Acks::Count(0));
    acquire(&RedisStore::open(config).await.unwrap(), "order").await;
}

#[tokio::test]
async fn a_write_whose_wait_is_refused_is_unknown() {
    let pair = Pair::start(1).await;
    let store = RedisStore::open(with_user(&pair).await).await.unwrap();
    let held = acquire(&store, "held").await;
    pair.master().run(&["ACL", "SETUSER", "idem", "-wait"]).await;
    let mine = claim();
    assert_eq!(kind(store.lock(&key("new"), &fingerprint(), &mine).await), ErrorKind::Timeout);
    assert_eq!(kind(complete(&store, &held).await), ErrorKind::Timeout);
    pair.master().run(&["ACL", "SETUSER", "idem", "+wait"]).await;
    match store.lock(&key("new"), &fingerprint(), &mine).await.unwrap() {
        LockAnswer::Acquired(lease) => assert_eq!(lease.attempt(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(complete(&store, &held).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn a_write_whose_wait_ends_by_a_demotion_is_unknown() {
    let pair = Pair::start(1).await;
    let mut patient = config(pair.master());
    patient.ack_timeout = Duration::from_secs(20);
    patient.response_timeout = Duration::from_secs(30);
    let store = RedisStore::open(patient).await.unwrap();
    let held = acquire(&store, "held").await;
    let replica = &pair.replicas()[0];
    replica.stop();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { kind(complete(&store, &held).await) }
    });
    while pair.master().run(&["INFO", "clients"]).await.field("blocked_clients").as_deref() != Some("1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pair.master().run(&["REPLICAOF", &replica.host().to_string(), &replica.port().to_string()]).await;
    assert_eq!(writing.await.unwrap(), ErrorKind::Timeout);
    replica.cont();
}

/// How often the server was asked to wait.
async fn waits(master: &Node) -> u64 {
    calls_of(master, "wait").await
}
