//! Connections and servers that are lost at any moment: the same call, sent again, finds the truth.

use std::fs::read_to_string;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_core::{Effect, LockAnswer, LostReason, Store as _};
use idem_servers::postgres::Server;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{
    LEASE, RETENTION, claim, config, config_of, connect, end_sessions, fingerprint, key, lock, open, value,
    wait_for_standby,
};

#[tokio::test]
async fn connections_that_are_ended_under_load_lose_and_double_nothing() {
    let config = config().await;
    let store = open(&config).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (store, over) = (store.clone(), Arc::clone(&over));
        callers.spawn(async move {
            let mut done = 0_u32;
            while !over.load(Ordering::Relaxed) {
                let (key, claim) = (key(format!("{caller}-{done}")), claim());
                let lease = lock(&store, &key, &claim).await;
                assert_eq!(lease.attempt(), 1);
                assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
                let again = store.lock(&key, &fingerprint(), &claim).await.unwrap();
                assert!(matches!(again, LockAnswer::Completed(_)), "{again:?}");
                done += 1;
            }
            u64::from(done)
        });
    }
    let client = connect(&config).await;
    let mut ended = 0;
    for round in 0..30 {
        sleep(Duration::from_millis(50)).await;
        let how = if round % 3 == 0 { "pg_cancel_backend" } else { "pg_terminate_backend" };
        let schema = &config.schema;
        let end = format!(
            "SELECT count({how}(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%{schema}%'"
        );
        ended += client.query_one(&end, &[]).await.unwrap().get::<_, i64>(0);
    }
    assert!(ended > 0);
    over.store(true, Ordering::Relaxed);
    let done: u64 = callers.join_all().await.into_iter().sum();
    let rows = format!("SELECT count(*) FROM {}.records WHERE state = 3", config.schema);
    let rows: i64 = client.query_one(&rows, &[]).await.unwrap().get(0);
    assert_eq!(u64::try_from(rows).unwrap(), done);
    assert!(done > 0);
}

#[tokio::test]
async fn a_server_that_is_killed_and_started_again_keeps_what_it_acknowledged() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_mins(1);
    let store = open(&config).await;
    let completed = lock(&store, &key("completed"), &claim()).await;
    let _effect = store.complete(&completed, value("done"), RETENTION).await.unwrap();
    let claimed = claim();
    let locked = lock(&store, &key("locked"), &claimed).await;
    server.kill();
    // It outlasts the restart.
    let replaying = tokio::spawn({
        let store = store.clone();
        async move { store.lock(&key("completed"), &fingerprint(), &claim()).await }
    });
    sleep(Duration::from_millis(200)).await;
    server.restart().await;
    assert!(matches!(replaying.await.unwrap().unwrap(), LockAnswer::Completed(_)));
    assert_eq!(lock(&store, &key("locked"), &claimed).await.token(), locked.token());
    assert_eq!(store.complete(&locked, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    let later = lock(&store, &key("later"), &claim()).await;
    assert!(later.token().sequence > locked.token().sequence);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_for_a_new_connection_once_it_goes_on() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_mins(1);
    config.response_timeout = Duration::from_millis(500);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    server.stop();
    let completing = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&lease, value("done"), RETENTION).await }
    });
    sleep(Duration::from_secs(2)).await;
    assert!(!completing.is_finished());
    server.cont();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
}

#[tokio::test]
async fn a_release_whose_answer_was_lost_is_not_told_that_somebody_else_released() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_mins(1);
    config.response_timeout = Duration::from_millis(300);
    let store = open(&config).await;
    let plain = lock(&store, &key("plain"), &claim()).await;
    let resumed = lock(&store, &key("resumed"), &claim()).await;
    assert_eq!(store.checkpoint(&resumed, 1, "half".into(), LEASE).await.unwrap(), Effect::Applied);
    let held = format!("SELECT count(*) FROM {}.records WHERE state = 1", config.schema);
    let client = connect(&config).await;
    // Nobody is told of a commit any more, and connections are given up.
    wait_for_standby(&config, "nobody").await;
    let releasing = [plain, resumed].map(|lease| {
        let store = store.clone();
        tokio::spawn(async move { store.release(&lease).await })
    });
    while client.query_one(&held, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    wait_for_standby(&config, "").await;
    for released in releasing {
        assert_eq!(released.await.unwrap().unwrap(), Effect::Applied);
    }
}

/// Nothing was ever sent, so it is known that nothing was done.
#[tokio::test]
async fn a_release_that_no_server_has_seen_is_told_the_truth() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.call_timeout = Duration::from_mins(1);
    let store = open(&config).await;
    let removed = lock(&store, &key("removed"), &claim()).await;
    let other = lock(&store, &key("other"), &claim()).await;
    assert!(store.remove(&key("removed"), true).await.unwrap());
    server.kill();
    // The holders' connection is found to have ended.
    timeout(Duration::from_secs(1), store.renew(&other, LEASE)).await.unwrap_err();
    let releasing = tokio::spawn({
        let store = store.clone();
        async move { store.release(&removed).await }
    });
    sleep(Duration::from_millis(500)).await;
    assert!(!releasing.is_finished());
    server.restart().await;
    assert_eq!(releasing.await.unwrap().unwrap(), Effect::Lost(LostReason::Gone));
}

/// A `statement_timeout` and an `idle_session_timeout`, which count for sessions from their login on.
#[tokio::test]
async fn limits_of_the_role_cost_only_more_attempts() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    let admin = connect(&config).await;
    admin.batch_execute("CREATE ROLE app LOGIN SUPERUSER").await.unwrap();
    (config.user, config.database) = ("app".to_owned(), Some("postgres".to_owned()));
    config.call_timeout = Duration::from_mins(1);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    for limit in ["statement_timeout", "idle_session_timeout"] {
        admin.batch_execute(&format!("ALTER ROLE app SET {limit} = '300ms'")).await.unwrap();
    }
    end_sessions(&server).await;
    admin.batch_execute(&format!("BEGIN; LOCK TABLE {}.records", config.schema)).await.unwrap();
    let completing = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&lease, value("done"), RETENTION).await }
    });
    logged(&server, "canceling statement due to statement timeout").await;
    admin.batch_execute("COMMIT").await.unwrap();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
    logged(&server, "terminating connection due to idle-session timeout").await;
    let replay = store.lock(&key("order"), &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(replay, LockAnswer::Completed(_)), "{replay:?}");
}

/// Until the server has logged this.
async fn logged(server: &Server, text: &str) {
    let wait = async {
        while !read_to_string(server.folder().join("postgres.log")).unwrap().contains(text) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(1), wait).await.unwrap();
}
