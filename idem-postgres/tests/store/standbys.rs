//! Commits that wait for standbys.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, Store as _};
use idem_servers::postgres::Server;
use tokio::time::sleep;

use crate::support::{
    RETENTION, claim, complete_and_cancel, config_of, connect, key, lock, open, value, wait_for_standby,
    while_cancelled,
};

/// A commit that is cancelled while it waits stands on the primary, and the server says so by a warning alone.
#[tokio::test]
async fn a_commit_that_its_standbys_do_not_have_is_never_acknowledged() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_secs(3);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let client = connect(&config).await;
    wait_for_standby(&config, "nobody").await;
    assert_eq!(complete_and_cancel(&store, &lease, &client).await.unwrap_err().kind(), ErrorKind::Timeout);
    // Nor by a call that only finds it done.
    assert_eq!(
        store.complete(&lease, value("done"), RETENTION).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    wait_for_standby(&config, "").await;
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn commits_that_wait_for_standbys_do_not_take_one_connection_after_the_other() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_secs(4);
    config.response_timeout = Duration::from_millis(200);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let client = connect(&config).await;
    wait_for_standby(&config, "nobody").await;
    assert_eq!(
        store.complete(&lease, value("done"), RETENTION).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
    assert!(waiting <= 3, "{waiting} connections wait");
}

/// Its commit stands on the server, and then the server lets the store in no more.
#[tokio::test]
async fn a_call_of_unknown_effect_is_not_answered_with_why_it_cannot_be_sent_again() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.sweep = false;
    let (superuser, admin) = (config.clone(), connect(&config).await);
    admin.batch_execute("CREATE ROLE app LOGIN SUPERUSER").await.unwrap();
    (config.user, config.database) = ("app".to_owned(), Some("postgres".to_owned()));
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    wait_for_standby(&superuser, "nobody").await;
    let completing = tokio::spawn({
        let (store, lease) = (store.clone(), lease.clone());
        async move { store.complete(&lease, value("done"), RETENTION).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'app'";
    while admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    admin.batch_execute("SET synchronous_commit = local; ALTER ROLE app NOLOGIN").await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";
    assert!(admin.query_one(end, &[]).await.unwrap().get::<_, i64>(0) > 0);
    let error = completing.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("28000"), "why, all the same: {error}");
    // What was never sent is refused as what it is.
    let error = store.complete(&lease, value("done"), RETENTION).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
}

/// By an operator's calls, which go alone.
#[tokio::test]
async fn a_removal_that_its_standbys_do_not_have_is_never_acknowledged() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    (config.call_timeout, config.sweep) = (Duration::from_secs(3), false);
    let store = open(&config).await;
    drop(lock(&store, &key("order"), &claim()).await);
    let client = connect(&config).await;
    wait_for_standby(&config, "nobody").await;
    // The second finds it done.
    for _ in 0..2 {
        let store = store.clone();
        let removed = while_cancelled(async move { store.remove(&key("order"), true).await }, &client).await;
        assert_eq!(removed.unwrap_err().kind(), ErrorKind::Timeout);
    }
    wait_for_standby(&config, "").await;
    assert!(!store.remove(&key("order"), true).await.unwrap(), "it is removed");
}

/// What the server says of such a commit is a warning, and a role may have been spared warnings.
#[tokio::test]
async fn a_cancelled_wait_is_noticed_also_where_the_role_is_sent_errors_only() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    (config.call_timeout, config.sweep) = (Duration::from_secs(3), false);
    server.sql("ALTER ROLE postgres SET client_min_messages = error").await;
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let client = connect(&config).await;
    wait_for_standby(&config, "nobody").await;
    assert_eq!(complete_and_cancel(&store, &lease, &client).await.unwrap_err().kind(), ErrorKind::Timeout);
    wait_for_standby(&config, "").await;
}
