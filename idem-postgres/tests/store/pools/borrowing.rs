//! Pools that have nothing to lend, or what does not work.

use std::time::Duration;

use idem_core::{Effect, ErrorKind, LockAnswer, Store as _};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::application::{Application, Library};
use crate::support::{RETENTION, claim, connect, fingerprint, key, lock, value};

const LONG: Duration = Duration::from_mins(1);

with_each_library!(
    an_exhausted_pool_ends_calls_in_time_and_goes_on_later,
    a_call_outlasts_an_exhausted_pool,
    a_closed_pool_is_told,
    connections_that_are_ended_under_load_lose_and_double_nothing,
    a_session_that_only_reads_is_left_for_another,
);

async fn an_exhausted_pool_ends_calls_in_time_and_goes_on_later(library: Library) {
    let mut application = Application::with(library, 1).await;
    application.config.call_timeout = Duration::from_millis(500);
    application.config.response_timeout = Duration::from_millis(100);
    let store = application.open().await;
    let held = application.hold().await;
    for answer in
        [store.get(&key("order")).await.map(|_| ()), store.remove(&key("order"), true).await.map(|_| ())]
    {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("pool had no connection"), "{error}");
    }
    drop(held);
    let locked = async {
        while let Err(error) = store.lock(&key("order"), &fingerprint(), &claim()).await {
            assert_eq!(error.kind(), ErrorKind::Timeout);
        }
    };
    timeout(LONG, locked).await.unwrap();
}

/// Nothing was sent meanwhile, so the answer is that of the one time that it was.
async fn a_call_outlasts_an_exhausted_pool(library: Library) {
    let mut application = Application::with(library, 1).await;
    application.config.call_timeout = LONG;
    application.config.response_timeout = Duration::from_millis(50);
    let store = application.open().await;
    let lease = lock(&store, &key("order"), &claim()).await;
    assert!(store.remove(&key("order"), true).await.unwrap());
    let held = application.hold().await;
    let releasing = tokio::spawn({
        let store = store.clone();
        async move { store.release(&lease).await.unwrap() }
    });
    sleep(Duration::from_millis(300)).await;
    assert!(!releasing.is_finished());
    drop(held);
    assert_ne!(releasing.await.unwrap(), Effect::Applied, "the key was gone before");
}

async fn a_closed_pool_is_told(library: Library) {
    let application = Application::with(library, 2).await;
    let store = application.open().await;
    application.close().await;
    let error = store.get(&key("order")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.to_string().contains("closed its pool"), "{error}");
    assert_eq!(application.try_open().await.unwrap_err().kind(), ErrorKind::Closed);
}

async fn connections_that_are_ended_under_load_lose_and_double_nothing(library: Library) {
    const CYCLES: u32 = 40;
    let mut application = Application::with(library, 6).await;
    application.config.call_timeout = LONG;
    let store = application.open().await;
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let store = store.clone();
        callers.spawn(async move {
            for cycle in 0..CYCLES {
                let key = key(format!("{caller}-{cycle}"));
                let lease = lock(&store, &key, &claim()).await;
                assert_eq!(lease.attempt(), 1);
                assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
                let again = store.lock(&key, &fingerprint(), &claim()).await.unwrap();
                assert!(matches!(again, LockAnswer::Completed(_)), "{again:?}");
            }
        });
    }
    let client = connect(&application.server).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
    let mut ended = 0;
    let ending = async {
        loop {
            sleep(Duration::from_millis(30)).await;
            ended += client.query_one(end, &[&application.config.schema]).await.unwrap().get::<_, i64>(0);
        }
    };
    let called = async {
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
    };
    tokio::select! {
        () = called => {}
        () = ending => {}
    }
    assert!(ended > 0);
    let rows = format!("SELECT count(*) FROM {}.records WHERE state = 3", application.config.schema);
    let rows: i64 = client.query_one(&rows, &[]).await.unwrap().get(0);
    assert_eq!(rows, i64::from(16 * CYCLES));
}

/// As those of a server that became a standby.
async fn a_session_that_only_reads_is_left_for_another(library: Library) {
    let application = Application::with(library, 1).await;
    let store = application.open().await;
    let mut held = application.hold().await;
    held.run("SET default_transaction_read_only = on").await;
    drop(held);
    drop(lock(&store, &key("order"), &claim()).await);
    let mut held = application.hold().await;
    let only_reads =
        "SELECT count(*) FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on'";
    assert_eq!(held.number(only_reads).await, 0, "that session is not the pool's any more");
}
