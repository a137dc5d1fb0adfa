//! Statements that the server has prepared, and what becomes of them.

use std::fs::read_to_string;

use idem_core::{Effect, ErrorKind, Store as _};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::Server;
use tokio::task::JoinSet;

use crate::support::{
    LEASE, RETENTION, claim, config, config_of, connect, fingerprint, key, lock, open, value,
};

/// By a role that is no superuser, on a server that logs what it is sent.
#[tokio::test]
async fn each_statement_is_prepared_once_for_a_connection() {
    const CALLS: usize = 30;
    let server = Server::options().config("log_min_duration_statement = 0").start().await;
    let mut config = config_of(server.node());
    config.sweep = false;
    let admin = connect(&config).await;
    for statement in ["CREATE ROLE app LOGIN", "CREATE DATABASE app OWNER app"] {
        admin.batch_execute(statement).await.unwrap();
    }
    (config.user, config.database) = ("app".to_owned(), None);
    let store = open(&config).await;
    let mut locking = JoinSet::new();
    for call in 0..CALLS {
        let store = store.clone();
        locking.spawn(async move { lock(&store, &key(format!("order-{call}")), &claim()).await });
    }
    for lease in locking.join_all().await {
        assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    }
    let log = read_to_string(server.folder().join("postgres.log")).unwrap();
    for function in ["lock", "complete_one"] {
        let called = format!(".{function}(");
        let lines =
            |what: &str| log.lines().filter(|line| line.contains(&called) && line.contains(what)).count();
        assert_eq!((lines("  parse s"), lines("<unnamed>")), (1, 0), "{function}");
        assert!((1..=CALLS).contains(&lines("  execute s")), "{function}");
    }
}

/// As a later version of the crate may do it while this one runs: the same parameters, and one more column.
#[tokio::test]
async fn a_function_that_is_replaced_by_one_with_other_columns_is_asked_at_once() {
    let (config, store) = opened().await;
    let lease = lock(&store, &key("order"), &claim()).await;
    assert!(store.get(&key("order")).await.unwrap().is_some());
    assert!(!store.remove(&key("missing"), false).await.unwrap());
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    instead_of_get(&config, "RETURN QUERY SELECT 7, found.* FROM SCHEMA.get_before(p_keys) AS found;").await;
    assert!(store.get(&key("order")).await.unwrap().is_some());
    let expire = "ALTER FUNCTION SCHEMA.expire(bigint) RENAME TO expire_before;
        CREATE FUNCTION SCHEMA.expire(p_budget bigint)
        RETURNS TABLE (removed bigint, more boolean, extra integer) LANGUAGE sql
        AS 'SELECT *, 7 FROM SCHEMA.expire_before(p_budget)'";
    store.expire(10).await.unwrap();
    admin(&config, expire).await;
    store.expire(10).await.unwrap();
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}

/// Somebody runs it in the store's own session, as a pooler does between clients.
#[tokio::test]
async fn calls_go_on_after_their_statements_were_deallocated() {
    let (config, store) = opened().await;
    let deallocate =
        "EXECUTE 'DEALLOCATE ALL'; RETURN QUERY SELECT 7, found.* FROM SCHEMA.get_before(p_keys) AS found;";
    instead_of_get(&config, deallocate).await;
    for round in 0..5 {
        let key = key(format!("order-{round}"));
        let lease = lock(&store, &key, &claim()).await;
        assert!(store.get(&key).await.unwrap().is_some());
        assert!(store.get(&key).await.unwrap().is_some());
        assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    }
}

#[tokio::test]
async fn a_statement_that_cannot_be_prepared_fails_its_calls_alone() {
    let (config, store) = opened().await;
    admin(&config, "ALTER FUNCTION SCHEMA.get(bytea[]) RENAME TO get_before").await;
    for _ in 0..2 {
        let error = store.get(&key("order")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let _answer = store.lock(&key("order"), &fingerprint(), &claim()).await.unwrap();
    }
    admin(&config, "ALTER FUNCTION SCHEMA.get_before(bytea[]) RENAME TO get").await;
    assert!(store.get(&key("order")).await.unwrap().is_some());
}

async fn opened() -> (PostgresConfig, PostgresStore) {
    let mut config = config().await;
    config.sweep = false;
    let store = open(&config).await;
    (config, store)
}

/// Puts another function in the place of `get`, which has one more column.
async fn instead_of_get(config: &PostgresConfig, body: &str) {
    let replace = format!(
        "ALTER FUNCTION SCHEMA.get(bytea[]) RENAME TO get_before;
         CREATE FUNCTION SCHEMA.get(p_keys bytea[]) RETURNS TABLE (
            extra integer, key bytea, now bigint, state smallint, fingerprint bytea, sequence bigint, owner bytea,
            attempt bigint, lease_until bigint, retention bigint, completed_at bigint, expires_at bigint, step bigint,
            body bytea
         ) LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    );
    admin(config, &replace).await;
}

async fn admin(config: &PostgresConfig, sql: &str) {
    connect(config).await.batch_execute(&sql.replace("SCHEMA", &config.schema)).await.unwrap();
}
