//! Waiting for a key.

use std::time::Duration;

use idem_core::{Key, Store as _};
use idem_postgres::{PostgresConfig, PostgresStore};
use idem_servers::postgres::Server;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{RETENTION, claim, config, config_of, connect, key, lock, open, value};

/// Longer than anything takes on a busy machine, and shorter than a lease.
const LONG: Duration = Duration::from_secs(20);

/// Compared with waiters who are not notified, in turn, since no fixed bound fits every machine.
async fn notifications_wake(config: &PostgresConfig, here: &PostgresStore) {
    const ROUNDS: u32 = 10;
    let there = open(config).await;
    let (mut notified, mut unnotified) = (Duration::ZERO, Duration::ZERO);
    let client = connect(config).await;
    for round in 0..2 * ROUNDS {
        let key = key(format!("order-{round}"));
        let lease = lock(&there, &key, &claim()).await;
        let waiting = waiting(here, key);
        noted(config).await;
        // Whoever polls has come to its longest pause by then.
        sleep(Duration::from_millis(600)).await;
        let total = if round % 2 == 0 { &mut notified } else { &mut unnotified };
        if round % 2 == 1 {
            let forget = format!("UPDATE {}.records SET waited = false", config.schema);
            client.batch_execute(&forget).await.unwrap();
        }
        let completing = Instant::now();
        let _effect = there.complete(&lease, value("done"), RETENTION).await.unwrap();
        *total += waiting.await.unwrap().saturating_duration_since(completing);
    }
    assert!(notified * 2 < unnotified, "notified after {notified:?}, not notified after {unnotified:?}");
}

/// When it was told that the key is settled.
fn waiting(store: &PostgresStore, key: Key) -> JoinHandle<Instant> {
    let store = store.clone();
    tokio::spawn(async move {
        assert!(store.settled(&key, LONG).await.unwrap());
        Instant::now()
    })
}

#[tokio::test]
async fn a_completion_in_another_process_wakes_by_notification() {
    let config = config().await;
    notifications_wake(&config, &open(&config).await).await;
}

#[tokio::test]
async fn the_listener_connects_again_after_its_connection_was_lost() {
    let server = Server::lone().await;
    let config = config_of(server.node());
    let store = open(&config).await;
    lock(&store, &key("order"), &claim()).await;
    let _waiting = waiting(&store, key("order"));
    let first = listening(&config, 0).await;
    let ended = connect(&config).await.query_one("SELECT pg_terminate_backend($1)", &[&first]).await.unwrap();
    assert!(ended.get::<_, bool>(0));
    listening(&config, first).await;
    store.remove(&key("order"), true).await.unwrap();
    notifications_wake(&config, &store).await;
}

/// Whoever waits first may do so on a runtime that ends before the store's.
#[tokio::test]
async fn the_listener_outlives_the_runtime_of_whoever_waited_first() {
    let server = Server::lone().await;
    let config = config_of(server.node());
    let store = open(&config).await;
    lock(&store, &key("order"), &claim()).await;
    let elsewhere = std::thread::spawn({
        let store = store.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                timeout(Duration::from_secs(1), store.settled(&key("order"), LONG)).await.unwrap_err();
            });
        }
    });
    tokio::task::spawn_blocking(move || elsewhere.join().unwrap()).await.unwrap();
    listening(&config, 0).await;
    store.remove(&key("order"), true).await.unwrap();
    notifications_wake(&config, &store).await;
}

/// Waits for a session that listens, another one than `before`.
async fn listening(config: &PostgresConfig, before: i32) -> i32 {
    let client = connect(config).await;
    let sql = "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN idem_settled' AND state = 'idle' AND pid <> $1";
    let wait = async {
        loop {
            if let Some(row) = client.query_opt(sql, &[&before]).await.unwrap() {
                return row.get(0);
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.unwrap()
}

/// Until a locked record has the note that somebody waits.
async fn noted(config: &PostgresConfig) {
    let client = connect(config).await;
    let sql = format!("SELECT count(*) FROM {}.records WHERE waited AND state = 1", config.schema);
    let wait = async {
        while client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.unwrap();
}
