//! Numbers that rise.

use std::time::Duration;

use tokio::time::sleep;

use crate::support::{config, connect, open};

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
