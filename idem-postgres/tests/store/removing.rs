//! Removing records takes as long as it takes, and holds up nobody.

use std::time::Duration;

use idem_core::{Claim, ErrorKind, Expired, LockAnswer, Store as _};
use idem_postgres::PostgresConfig;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{claim, config, connect, fingerprint, key, lock, open};

/// Makes the removal of each record take this long.
async fn slow_down(config: &PostgresConfig, each: Duration) {
    let (schema, seconds) = (&config.schema, each.as_secs_f64());
    let slow = format!(
        "CREATE FUNCTION {schema}.slow() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep({seconds}); RETURN OLD; END $$;
         CREATE TRIGGER slow BEFORE DELETE ON {schema}.records FOR EACH ROW EXECUTE FUNCTION {schema}.slow()"
    );
    connect(config).await.batch_execute(&slow).await.unwrap();
}

async fn expire_all(config: &PostgresConfig) {
    let expired =
        format!("UPDATE {}.records SET expires_at = 1, sweep_at = 1, lease_until = 1", config.schema);
    connect(config).await.batch_execute(&expired).await.unwrap();
}

#[tokio::test]
async fn a_removal_that_takes_longer_than_other_calls_may_is_not_cut_off_and_holds_up_nobody() {
    const TAKES: Duration = Duration::from_millis(2_500);
    let mut config = config().await;
    config.sweep = false;
    config.response_timeout = Duration::from_secs(1);
    let store = open(&config).await;
    drop(lock(&store, &key("old"), &claim()).await);
    expire_all(&config).await;
    slow_down(&config, TAKES).await;
    let expiring = tokio::spawn({
        let store = store.clone();
        async move { store.expire(10).await }
    });
    let (begun, mut slowest, mut number) = (Instant::now(), Duration::ZERO, 0);
    while begun.elapsed() < TAKES {
        let call = Instant::now();
        drop(lock(&store, &key(format!("order-{number}")), &claim()).await);
        slowest = slowest.max(call.elapsed());
        number += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(expiring.await.unwrap().unwrap(), Expired { removed: 1, more: false });
    assert!(slowest < TAKES / 2, "a lock waited {slowest:?}");
}

#[tokio::test]
async fn a_sweep_that_takes_too_long_is_tried_with_fewer_records() {
    const RECORDS: usize = 60;
    let mut config = config().await;
    config.call_timeout = Duration::from_secs(1);
    config.response_timeout = Duration::from_millis(300);
    config.sweep_interval = Duration::from_millis(100);
    config.sweep = false;
    let mut patient = config.clone();
    (patient.call_timeout, patient.response_timeout) = (Duration::from_mins(1), Duration::from_mins(1));
    let patient = open(&patient).await;
    for number in 0..RECORDS {
        drop(lock(&patient, &key(format!("order-{number}")), &claim()).await);
    }
    // All of them take 3 s.
    slow_down(&config, Duration::from_millis(50)).await;
    expire_all(&config).await;
    config.sweep = true;
    let _store = open(&config).await;
    let admin = connect(&config).await;
    let left = format!("SELECT count(*) FROM {}.records", config.schema);
    let swept = async {
        while admin.query_one(&left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(Duration::from_mins(1), swept).await.is_ok(), "expired records are not swept");
}

/// The sweeper looks at a record when it expires at the latest.
#[tokio::test]
async fn a_takeover_with_a_shorter_retention_is_swept_in_time() {
    let mut config = config().await;
    config.sweep = false;
    let store = open(&config).await;
    let of = |retention| Claim { lease: Duration::from_millis(200), retention, ..claim() };
    drop(lock(&store, &key("order"), &of(Duration::from_hours(100))).await);
    let second = of(Duration::from_hours(1));
    while !matches!(
        store.lock(&key("order"), &fingerprint(), &second).await.unwrap(),
        LockAnswer::Acquired(_)
    ) {
        sleep(Duration::from_millis(20)).await;
    }
    let late = format!("SELECT sweep_at <= expires_at FROM {}.records", config.schema);
    assert!(connect(&config).await.query_one(&late, &[]).await.unwrap().get::<_, bool>(0));
}

/// By whoever calls first, on a runtime that then does nothing for a while.
#[tokio::test]
async fn a_removal_does_not_depend_on_the_runtime_of_whoever_removed_first() {
    let mut config = config().await;
    config.sweep = false;
    let store = open(&config).await;
    drop(lock(&store, &key("first"), &claim()).await);
    drop(lock(&store, &key("second"), &claim()).await);
    let ((removed, told), (end, ended)) = (oneshot::channel(), std::sync::mpsc::channel::<()>());
    let elsewhere = std::thread::spawn({
        let store = store.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            removed.send(runtime.block_on(store.remove(&key("first"), true))).unwrap();
            // The runtime is there until then.
            ended.recv().unwrap_err();
        }
    });
    assert!(told.await.unwrap().unwrap());
    assert!(store.remove(&key("second"), true).await.unwrap());
    drop(end);
    elsewhere.join().unwrap();
}

#[test]
fn a_removal_ends_in_time_while_nobody_drives_the_runtime_of_the_store() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (of_the_store, other) = (runtime(), runtime());
    let store = of_the_store.block_on(async {
        let mut config = config().await;
        config.call_timeout = Duration::from_secs(1);
        open(&config).await
    });
    let error = other.block_on(store.remove(&key("order"), true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}
