//! Numbers that rise.

use std::time::Duration;

use idem_core::{Effect, Store as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{LEASE, claim, config, connect, key, lock, open};

/// Between a look at the last number and the move others take numbers, which must not be given out again. So the fence is
/// moved only where it is so far behind that they cannot have taken as many.
#[tokio::test]
async fn a_fence_that_another_session_has_moved_meanwhile_is_left_alone() {
    let config = config().await;
    let _store = open(&config).await;
    let (first, second) = (connect(&config).await, connect(&config).await);
    let schema = &config.schema;
    let (now, moved): (i64, i64) = (2_000_000_000_000_000, 1_999_999_999_999_990);
    // The second session waits between its look and its move.
    first
        .batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION {schema}.try_lock(p_of regclass) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock(p_of::oid::bigint); RETURN true; END $$;
            SELECT setval('{schema}.fence', 1)"
        ))
        .await
        .unwrap();
    first.batch_execute(&format!("BEGIN; SELECT {schema}.try_lock('{schema}.fence')")).await.unwrap();
    let pid: i32 = second.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let advance = format!("SELECT {schema}.advance_fence({now})");
    let advancing = tokio::spawn(async move { second.batch_execute(&advance).await });
    let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = $1";
    while first.query(waits, &[&pid]).await.unwrap().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    first.batch_execute(&format!("SELECT setval('{schema}.fence', {moved}); COMMIT")).await.unwrap();
    advancing.await.unwrap().unwrap();
    let last = format!("SELECT last_value FROM {schema}.fence");
    assert_eq!(first.query_one(&last, &[]).await.unwrap().get::<_, i64>(0), moved);
}

/// The late one has its number before the other one has, and its record comes when that of the other one is gone.
#[tokio::test]
async fn a_lock_that_comes_late_has_a_higher_sequence_than_the_one_before_it() {
    let mut config = config().await;
    (config.response_timeout, config.call_timeout) = (Duration::from_mins(1), Duration::from_mins(1));
    let (late, other) = (open(&config).await, open(&config).await);
    let schema = &config.schema;
    let client = connect(&config).await;
    for together in [1, 3] {
        let claims: Vec<_> = (0..together).map(|_| claim()).collect();
        let owners: Vec<_> = claims
            .iter()
            .map(|claim| format!("'\\x{:032x}'", u128::from_be_bytes(*claim.owner.as_bytes())))
            .collect();
        // Behind the target list, and before the look whether the key is there.
        let come_late = format!(
            "DROP TABLE IF EXISTS {schema}.done CASCADE;
             CREATE TABLE {schema}.done ();
             CREATE OR REPLACE FUNCTION {schema}.come_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 WHILE NOT EXISTS (SELECT FROM {schema}.done) LOOP PERFORM pg_sleep(0.01); END LOOP;
                 RETURN NEW;
             END $$;
             DROP TRIGGER IF EXISTS late ON {schema}.records;
             CREATE TRIGGER late BEFORE INSERT ON {schema}.records FOR EACH ROW
                 WHEN (NEW.owner IN ({})) EXECUTE FUNCTION {schema}.come_late()",
            owners.join(", ")
        );
        client.batch_execute(&come_late).await.unwrap();
        let key = move |number: usize| key(format!("order-{together}-{number}"));
        let mut locking = JoinSet::new();
        for (number, claim) in claims.into_iter().enumerate() {
            let late = late.clone();
            locking.spawn(async move { (number, lock(&late, &key(number), &claim).await) });
        }
        let sleeps = format!(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%{schema}%'"
        );
        while client.query(&sleeps, &[]).await.unwrap().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        // The first of them has its number by now.
        let before = lock(&other, &key(0), &claim()).await;
        assert_eq!(other.release(&before).await.unwrap(), Effect::Applied);
        let before = before.token().sequence;
        client.batch_execute(&format!("INSERT INTO {schema}.done DEFAULT VALUES")).await.unwrap();
        for (number, lease) in locking.join_all().await {
            assert!(lease.token().sequence > before, "{number}: {} after {before}", lease.token().sequence);
            assert_eq!(late.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
        }
    }
}
