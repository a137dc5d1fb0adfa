//! What a store says of itself, while the server's settings change.

use std::time::Duration;

use idem_core::Store as _;
use idem_postgres::PostgresStore;
use idem_servers::postgres::{Pair, Server};
use tokio::time::{sleep, timeout};

use crate::support::{config_of, end_sessions, open};

async fn until(store: &PostgresStore, what: &str, durable: bool, replicated: bool) {
    let so = async {
        while (store.capabilities().durable, store.capabilities().replicated) != (durable, replicated) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let so = timeout(Duration::from_secs(30), so).await;
    assert!(so.is_ok(), "{what}: {:?}", store.capabilities());
}

async fn reload(server: &Server, change: &str) {
    server.sql(change).await;
    server.sql("SELECT pg_reload_conf()").await;
}

#[tokio::test]
async fn a_store_is_durable_only_while_the_server_is() {
    let server = Server::lone().await;
    server.sql("CREATE ROLE app LOGIN SUPERUSER").await;
    let mut config = config_of(server.node());
    (config.user, config.database) = ("app".to_owned(), Some("postgres".to_owned()));
    let store = open(&config).await;
    until(&store, "at first", true, false).await;
    for (setting, lost) in [("fsync", "off"), ("synchronous_commit", "off")] {
        reload(&server, &format!("ALTER SYSTEM SET {setting} = {lost}")).await;
        until(&store, setting, false, false).await;
        reload(&server, &format!("ALTER SYSTEM RESET {setting}")).await;
        until(&store, setting, true, false).await;
    }
    // These count from the next login on.
    for whose in ["ROLE app", "DATABASE postgres"] {
        server.sql(&format!("ALTER {whose} SET synchronous_commit = off")).await;
        end_sessions(&server).await;
        until(&store, whose, false, false).await;
        let opened = open(&config).await;
        assert!(!opened.capabilities().durable, "{whose}: one that is opened now");
        server.sql(&format!("ALTER {whose} RESET synchronous_commit")).await;
        end_sessions(&server).await;
        until(&store, whose, true, false).await;
    }
}

#[tokio::test]
async fn a_store_is_replicated_only_while_commits_wait_for_a_standby() {
    let pair = Pair::start().await;
    let server = pair.primary();
    let config = config_of(server.node());
    let store = open(&config).await;
    until(&store, "at first", true, true).await;
    for commit in ["local", "off"] {
        reload(server, &format!("ALTER SYSTEM SET synchronous_commit = {commit}")).await;
        until(&store, commit, commit == "local", false).await;
        reload(server, "ALTER SYSTEM SET synchronous_commit = remote_write").await;
        until(&store, "remote_write", true, true).await;
    }
    reload(server, "ALTER SYSTEM SET synchronous_standby_names = ''").await;
    until(&store, "without names", true, false).await;
    reload(server, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby, other)'").await;
    until(&store, "with names", true, true).await;
}

#[tokio::test]
async fn nothing_of_a_store_is_left_once_it_is_dropped() {
    let server = Server::lone().await;
    let store = open(&config_of(server.node())).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idem'";
    assert_ne!(server.sql(sessions).await, "0");
    drop(store);
    let ended = async {
        while server.sql(sessions).await != "0" {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), ended).await.unwrap();
}
