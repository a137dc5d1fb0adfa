//! Many calls on one key.

use idem_core::record::Record;
use idem_core::{Claim, Effect, ErrorKind, Fingerprint, Key, Lease, LockAnswer, Owner, Result, Store as _};
use idem_postgres::PostgresStore;
use idem_servers::postgres::Server;
use tokio::task::JoinHandle;

use crate::support::{
    LEASE, RETENTION, answers, claim, config, config_of, connect, fingerprint, key, lock, locks, open, value,
};

const CALLERS: usize = 64;

#[tokio::test]
async fn calls_that_come_together_are_answered_by_one_statement() {
    let server = Server::options().config("log_statement = all").start().await;
    let store = open(&config_of(server.node())).await;
    let order = key("order");

    let holder = the_one_that_acquires(&store, order).await;
    assert_eq!(statements(&server, "lock_one").await, 1);

    let waiting: Vec<_> = (0..CALLERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.settled(&order, LEASE).await })
        })
        .collect();
    // Comes after those that wait.
    assert!(store.get(&order).await.unwrap().is_some());
    assert_eq!(store.complete(&holder, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    for settled in answers(waiting).await {
        assert!(settled.unwrap());
    }
    assert_eq!(statements(&server, "note_waiters").await, 1);

    for answer in answers(locks(&store, order, callers())).await {
        let LockAnswer::Completed(replay) = answer.unwrap() else { panic!("it is completed") };
        assert_eq!((replay.outcome, replay.token), (value("done"), holder.token()));
    }
    assert_eq!(statements(&server, "lock_one").await, 2);

    let before = statements(&server, "get").await;
    for record in answers(gets(&store, order)).await {
        assert_eq!(record.unwrap().unwrap().outcome(), Some(&value("done")));
    }
    assert_eq!(statements(&server, "get").await, before + 1);
}

#[tokio::test]
async fn a_read_that_comes_after_a_statement_was_sent_gets_one_of_its_own() {
    let server = Server::options().config("log_statement = all").start().await;
    let config = config_of(server.node());
    let store = open(&config).await;
    let (mut application, other) = (connect(&config).await, connect(&config).await);
    let transaction = application.transaction().await.unwrap();
    transaction.batch_execute(&format!("LOCK TABLE {}.records", config.schema)).await.unwrap();
    let first = gets(&store, key("order"));
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while other.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    let second = gets(&store, key("order"));
    // While the server answers this, they are called.
    other.query_one(waits, &[]).await.unwrap();
    transaction.commit().await.unwrap();
    for record in answers(first.into_iter().chain(second)).await {
        assert_eq!(record.unwrap(), None);
    }
    assert!(statements(&server, "get").await >= 2);
}

#[tokio::test]
async fn one_of_many_callers_acquires_and_sequences_rise() {
    let store = open(&config().await).await;
    let mut last = 0;
    for _ in 0..20 {
        let lease = the_one_that_acquires(&store, key("order")).await;
        assert!(lease.token().sequence > last);
        last = lease.token().sequence;
        assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    }
}

#[tokio::test]
async fn each_caller_hears_of_damage() {
    let config = config().await;
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    let damage =
        format!("UPDATE {}.records SET body = set_bit(body, 0, 1 - get_bit(body, 0))", config.schema);
    assert_eq!(connect(&config).await.execute(&damage, &[]).await.unwrap(), 1);
    for answer in answers(locks(&store, key("order"), callers())).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    for record in answers(gets(&store, key("order"))).await {
        assert_eq!(record.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// The first is sent in vain while another transaction holds the row lock. The second waits behind it all the same.
#[tokio::test]
async fn completions_are_carried_out_in_the_order_of_their_calls() {
    let config = config().await;
    let store = open(&config).await;
    let mut application = connect(&config).await;
    let select = format!("SELECT FROM {}.records FOR UPDATE", config.schema);
    // The wrong one would win only now and then.
    for round in 0..16 {
        let lease = lock(&store, &key(format!("held-{round}")), &claim()).await;
        let transaction = application.transaction().await.unwrap();
        transaction.execute(&select, &[]).await.unwrap();
        let completing = ["first", "second"].map(|outcome| {
            let (store, lease) = (store.clone(), lease.clone());
            tokio::spawn(async move { store.complete(&lease, value(outcome), RETENTION).await })
        });
        // Meanwhile both have been sent again and again.
        for number in 0..=round {
            let other = lock(&store, &key(format!("other-{round}-{number}")), &claim()).await;
            assert_eq!(store.complete(&other, value("done"), RETENTION).await.unwrap(), Effect::Applied);
        }
        transaction.commit().await.unwrap();
        for effect in answers(completing).await {
            assert_eq!(effect.unwrap(), Effect::Applied);
        }
        let record = store.get(lease.key()).await.unwrap().unwrap();
        assert_eq!(record.outcome(), Some(&value("first")), "round {round}");
    }
}

/// How often the server was asked to carry out a function of the schema until now.
async fn statements(server: &Server, function: &str) -> usize {
    // The log is written by a process of its own, in order.
    let until_now = format!("until {:?}", Owner::random().unwrap().as_bytes());
    server.node().sql(&format!("SELECT '{until_now}'")).await;
    loop {
        let log = std::fs::read_to_string(server.folder().join("postgres.log")).unwrap();
        if log.contains(&until_now) {
            return log.matches(&format!(".{function}($1")).count();
        }
        tokio::task::yield_now().await;
    }
}

/// Locks a free key for many callers.
async fn the_one_that_acquires(store: &PostgresStore, key: Key) -> Lease {
    let mut acquired = None;
    for answer in answers(locks(store, key, callers())).await {
        match answer.unwrap() {
            LockAnswer::Acquired(lease) => assert!(acquired.replace(lease).is_none(), "one acquires"),
            LockAnswer::InProgress { remaining } => assert!(!remaining.is_zero() && remaining <= LEASE),
            other => panic!("{other:?}"),
        }
    }
    acquired.unwrap()
}

fn callers() -> impl Iterator<Item = (Fingerprint, Claim)> {
    (0..CALLERS).map(|_| (fingerprint(), claim()))
}

fn gets(store: &PostgresStore, key: Key) -> Vec<JoinHandle<Result<Option<Record>>>> {
    let get = |_| {
        let store = store.clone();
        tokio::spawn(async move { store.get(&key).await })
    };
    (0..CALLERS).map(get).collect()
}
