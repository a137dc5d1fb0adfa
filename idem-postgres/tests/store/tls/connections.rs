//! Every connection goes by TLS.

use std::time::Duration;

use idem_core::{Effect, Store as _};
use idem_postgres::{PostgresConfig, SslMode};
use tokio::time::{sleep, timeout};

use super::relay::{SSL_REQUEST, recorder};
use super::secured::Secured;
use crate::support::{RETENTION, claim, key, lock, open, value};

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn calls_and_notifications_go_by_tls() {
    let secured = Secured::start().await;
    for sslmode in [SslMode::VerifyFull, SslMode::Prefer] {
        let mut config = secured.config.clone();
        config.sslmode = Some(sslmode);
        if sslmode == SslMode::Prefer {
            config.sslrootcert = None;
        }
        let store = open(&config).await;
        let lease = lock(&store, &key("order"), &claim()).await;
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.settled(&key("order"), LONG).await.unwrap() }
        });
        let listening = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN idem_settled'";
        until(async || secured.server.sql(listening).await == "1").await;
        let by_tls = "SELECT bool_and(ssl), count(*) >= 3 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE application_name = 'idem'";
        assert_eq!(secured.server.sql(by_tls).await, "t|t");
        assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
        assert!(waiting.await.unwrap());
        store.remove(&key("order"), false).await.unwrap();
        drop(store);
        let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idem'";
        until(async || secured.server.sql(connected).await == "0").await;
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_by_tls() {
    let secured = Secured::start().await;
    let (address, first_bytes) = recorder(secured.server.addr()).await;
    let mut config = secured.config.clone();
    config.servers = vec![address];
    config.response_timeout = Duration::from_millis(100);
    let store = open(&config).await;
    let locked = secured.server.node();
    let schema = config.schema.clone();
    // Longer than the client waits for an answer, and shorter than a call may take.
    let blocked = format!("BEGIN; LOCK TABLE {schema}.records; SELECT pg_sleep(3)");
    let blocking = tokio::spawn(async move { locked.sql(&blocked).await });
    until(async || has_lock(&secured, &config).await).await;
    store.get(&key("order")).await.unwrap();
    blocking.await.unwrap();
    until(async || log(&secured).contains("canceling statement due to user request")).await;
    let first_bytes = first_bytes.lock().unwrap().clone();
    assert!(first_bytes.iter().all(|first| *first == SSL_REQUEST), "{first_bytes:?}");
}

async fn has_lock(secured: &Secured, config: &PostgresConfig) -> bool {
    let held = format!(
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
         AND relation = '{}.records'::regclass",
        config.schema
    );
    secured.server.sql(&held).await == "1"
}

/// All of it, since the end may be about something else.
fn log(secured: &Secured) -> String {
    std::fs::read_to_string(secured.server.folder().join("postgres.log")).unwrap()
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, wait).await.unwrap();
}
