//! Waiting for a key.

use std::time::Duration;

use idem_core::Store as _;
use tokio::time::{Instant, timeout};

use crate::support::{RETENTION, claim, config, connect, key, lock, open, value};

/// Longer than anything takes on a busy machine, and shorter than a lease.
const LONG: Duration = Duration::from_secs(20);

/// Compared with waiters who are not notified, in turn, since no fixed bound fits every machine.
#[tokio::test]
async fn a_completion_in_another_process_wakes_by_notification() {
    const ROUNDS: u32 = 10;
    let config = config().await;
    let (here, there) = (open(&config).await, open(&config).await);
    let (mut notified, mut unnotified) = (Duration::ZERO, Duration::ZERO);
    let client = connect(&config).await;
    for round in 0..2 * ROUNDS {
        let key = key(format!("order-{round}"));
        let lease = lock(&there, &key, &claim()).await;
        let waiting = tokio::spawn({
            let here = here.clone();
            async move { (here.settled(&key, LONG).await.unwrap(), Instant::now()) }
        });
        noted(&config).await;
        // Whoever polls has come to its longest pause by then.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let total = if round % 2 == 0 { &mut notified } else { &mut unnotified };
        if round % 2 == 1 {
            let forget = format!("UPDATE {}.records SET waited = false", config.schema);
            client.batch_execute(&forget).await.unwrap();
        }
        let completing = Instant::now();
        let _effect = there.complete(&lease, value("done"), RETENTION).await.unwrap();
        let (settled, woken) = waiting.await.unwrap();
        assert!(settled);
        *total += woken.saturating_duration_since(completing);
    }
    assert!(notified * 2 < unnotified, "notified after {notified:?}, not notified after {unnotified:?}");
}

#[tokio::test]
async fn who_waits_is_told_also_after_the_connection_for_notifications_was_lost() {
    let config = config().await;
    let store = open(&config).await;
    let key = key("order");
    let lease = lock(&store, &key, &claim()).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key, LONG).await.unwrap() }
    });
    noted(&config).await;
    let end =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN idem_settled'";
    connect(&config).await.query(end, &[]).await.unwrap();
    let _effect = store.complete(&lease, value("done"), RETENTION).await.unwrap();
    assert!(timeout(LONG, waiting).await.unwrap().unwrap());
}

/// Until a locked record has the note that somebody waits.
async fn noted(config: &idem_postgres::PostgresConfig) {
    let client = connect(config).await;
    let sql = format!("SELECT count(*) FROM {}.records WHERE waited AND state = 1", config.schema);
    let wait = async {
        while client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.unwrap();
}
