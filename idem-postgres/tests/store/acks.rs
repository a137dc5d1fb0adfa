//! Standbys that must have a commit before it is answered.

use std::process::Command;
use std::time::Duration;

use idem_core::record::State;
use idem_core::{Effect, ErrorKind, Lease, LockAnswer, Result, Store as _};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::{Pair, Pooler, Server};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use crate::support::{
    RETENTION, claim, config_of, connect, fingerprint, key, lock, open, value, wait_for_standby,
};

const LONGEST: Duration = Duration::from_mins(1);

/// Waits for the standby that [`Pair`] has.
fn with_acks(pair: &Pair) -> PostgresConfig {
    let mut config = config_of(pair.primary().node());
    (config.acks, config.sweep) = (1, false);
    config
}

fn complete(store: &PostgresStore, lease: &Lease) -> JoinHandle<Result<Effect>> {
    let (store, lease) = (store.clone(), lease.clone());
    tokio::spawn(async move { store.complete(&lease, value("done"), RETENTION).await })
}

/// The process of a session of the store whose commit waits for a standby, once there is one.
async fn waiting(admin: &Client, call: &mut JoinHandle<Result<Effect>>) -> i32 {
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'idem'";
    let found = async {
        loop {
            if let Some(row) = admin.query(waiting, &[]).await.unwrap().first() {
                return row.get(0);
            }
            if let Ok(answer) = timeout(Duration::from_millis(5), &mut *call).await {
                panic!("the standby does not have it, and it is answered: {answer:?}");
            }
        }
    };
    timeout(LONGEST, found).await.unwrap()
}

fn signal(process: i32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {process}")]).status().unwrap();
    assert!(sent.success());
}

async fn refused(config: &PostgresConfig) -> String {
    let error = PostgresStore::open(config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_server_that_demands_fewer_standbys_is_refused() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.acks = 1;
    let error = refused(&config).await;
    assert!(error.contains("synchronous_standby_names") && error.contains("ANY 1 (*)"), "{error}");
    wait_for_standby(&config, "FIRST 1 (a, b)").await;
    config.acks = 2;
    let error = refused(&config).await;
    assert!(error.contains("synchronous_standby_names") && error.contains("ANY 2 (*)"), "{error}");
    config.acks = 1;
    for commit in ["local", "off"] {
        server
            .sql(&format!(
                "SET synchronous_commit = local; ALTER ROLE postgres SET synchronous_commit = {commit}"
            ))
            .await;
        let error = refused(&config).await;
        assert!(error.contains(&format!("synchronous_commit = {commit}")), "{error}");
    }
}

/// What a manager such as Patroni does when a standby is lost: commits that wait are let go, without a warning.
#[tokio::test]
async fn a_commit_that_is_let_go_because_its_standby_is_given_up_is_never_acknowledged() {
    let pair = Pair::start().await;
    let mut config = with_acks(&pair);
    config.call_timeout = Duration::from_secs(4);
    let store = open(&config).await;
    assert!(store.capabilities().replicated && store.capabilities().durable);
    let mut without = config.clone();
    without.acks = 0;
    let believing = open(&without).await;
    let [lease, other] =
        [lock(&store, &key("order"), &claim()).await, lock(&store, &key("other"), &claim()).await];
    let admin = connect(&config).await;
    pair.standby().stop();
    let (mut completing, believed) = (complete(&store, &lease), complete(&believing, &other));
    waiting(&admin, &mut completing).await;
    wait_for_standby(&config, "").await;
    assert_eq!(believed.await.unwrap().unwrap(), Effect::Applied, "this is what the server says");
    let error = completing.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("synchronous_standby_names"), "{error}");
    // Neither are those that come later. Reads go on.
    let error = store.remove(&key("other"), true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(store.get(&key("order")).await.unwrap().is_some());
    wait_for_standby(&config, "standby").await;
    pair.standby().cont();
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}

/// The names are the same again when the commit is answered.
#[tokio::test]
async fn a_commit_that_is_let_go_for_a_moment_is_never_acknowledged() {
    let pair = Pair::start().await;
    let mut config = with_acks(&pair);
    (config.call_timeout, config.response_timeout) = (LONGEST, LONGEST);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let admin = connect(&config).await;
    pair.standby().stop();
    let mut completing = complete(&store, &lease);
    let process = waiting(&admin, &mut completing).await;
    // It notices nothing of what happens meanwhile.
    signal(process, "STOP");
    wait_for_standby(&config, "").await;
    wait_for_standby(&config, "standby").await;
    signal(process, "CONT");
    // It is sent again by another session, and waits there. For a moment this one seems to wait still.
    while waiting(&admin, &mut completing).await == process {
        sleep(Duration::from_millis(5)).await;
    }
    pair.standby().cont();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
}

/// There each statement may have another session than the one before, which has read its configuration at another time.
#[tokio::test]
async fn a_commit_that_is_let_go_for_a_moment_is_never_acknowledged_behind_a_pooler() {
    let pair = Pair::start().await;
    let sessions = ["pool_mode = transaction", "default_pool_size = 4"];
    let pooler = Pooler::start(pair.primary().node(), &sessions).await;
    let mut config = config_of(pooler.node());
    (config.acks, config.sweep) = (1, false);
    (config.call_timeout, config.response_timeout) = (LONGEST, LONGEST);
    let (store, direct) = (open(&config).await, with_acks(&pair));
    let lease = lock(&store, &key("order"), &claim()).await;
    assert_eq!(store.renew(&lease, claim().lease).await.unwrap(), Effect::Applied);
    // The session that was used last is the first to be lent again.
    let other = connect(&config).await;
    other.batch_execute("BEGIN").await.unwrap();
    let admin = connect(&direct).await;
    pair.standby().stop();
    let mut completing = complete(&store, &lease);
    let process = waiting(&admin, &mut completing).await;
    signal(process, "STOP");
    wait_for_standby(&direct, "").await;
    wait_for_standby(&direct, "standby").await;
    let let_go: String = admin.query_one("SELECT clock_timestamp()::text", &[]).await.unwrap().get(0);
    signal(process, "CONT");
    // It is sent again, perhaps by the same session, and waits there.
    let again =
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query_start > $1::text::timestamptz";
    while admin.query(again, &[&let_go]).await.unwrap().is_empty() {
        assert!(!completing.is_finished(), "the standby does not have it: {:?}", completing.await);
        sleep(Duration::from_millis(5)).await;
    }
    pair.standby().cont();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
}

#[tokio::test]
async fn calls_end_in_timeout_while_the_standby_is_cut_off_and_go_on_when_it_is_back() {
    let pair = Pair::start().await;
    let mut config = with_acks(&pair);
    (config.call_timeout, config.response_timeout) = (Duration::from_secs(2), Duration::from_millis(300));
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    pair.standby().stop();
    for _ in 0..2 {
        let completed = store.complete(&lease, value("done"), RETENTION).await;
        assert_eq!(completed.unwrap_err().kind(), ErrorKind::Timeout);
    }
    pair.standby().cont();
    let completed = async {
        loop {
            match store.complete(&lease, value("done"), RETENTION).await {
                Ok(effect) => return effect,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
            }
        }
    };
    assert_eq!(timeout(LONGEST, completed).await.unwrap(), Effect::Applied);
}

/// A completion whose wait was given up stands on the primary, where everybody sees it.
#[tokio::test]
async fn an_outcome_that_its_standby_does_not_have_is_not_replayed() {
    let pair = Pair::start().await;
    let mut config = with_acks(&pair);
    (config.call_timeout, config.response_timeout) = (Duration::from_secs(2), Duration::from_millis(300));
    let (store, other) = (open(&config).await, open(&config).await);
    let (admin, asking) = (connect(&config).await, connect(&config).await);
    let lease = lock(&store, &key("order"), &claim()).await;
    pair.standby().stop();
    assert_eq!(complete(&store, &lease).await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    let is_seen = async {
        while !matches!(other.get(&key("order")).await.unwrap().unwrap().state, State::Completed(_)) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONGEST, is_seen).await.unwrap();
    let asked = other.lock(&key("order"), &fingerprint(), &claim()).await;
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Timeout, "it is lost with the primary");
    // Where many keys are wanted, it is another function that answers.
    let many = format!(
        "SELECT answer::integer FROM (
            SELECT array_agg(key) AS keys, array_agg(fingerprint) AS prints, array_agg(owner) AS owners,
                array_agg(1::bigint) AS times, array_agg(body) AS bodies FROM {0}.records
        ) AS found, {0}.lock(keys, prints, owners, times, times, bodies)",
        config.schema
    );
    let asking = tokio::spawn(async move { asking.query_one(&many, &[]).await.unwrap().get::<_, i32>(0) });
    let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%array_agg%'";
    while admin.query(waits, &[]).await.unwrap().is_empty() {
        assert!(!asking.is_finished(), "the standby does not have it");
        sleep(Duration::from_millis(5)).await;
    }
    pair.standby().cont();
    assert_eq!(timeout(LONGEST, asking).await.unwrap().unwrap(), 3, "it is completed");
    let replayed = async {
        loop {
            match other.lock(&key("order"), &fingerprint(), &claim()).await {
                Ok(answer) => return answer,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
            }
        }
    };
    let answer = timeout(LONGEST, replayed).await.unwrap();
    assert!(matches!(answer, LockAnswer::Completed(replay) if replay.outcome == value("done")));
}
