//! An administrator works on the store's table: locks it, rewrites it, and builds indexes.

use std::time::Duration;

use idem_servers::postgres::Server;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::{load, rules};
use crate::callers::load::Load;
use crate::environment::postgres::connect::{connect, number};
use crate::environment::postgres::store::{options, turn};
use crate::judge::rules::Report;
use crate::rng::Rng;
use crate::table::judged;

/// In milliseconds: shorter, and longer, than a call may take.
const LOCKS: [u64; 2] = [600, 2_600];
/// Statements that make new files for the table or its index.
const REWRITES: [&str; 3] =
    ["VACUUM FULL idem.records", "REINDEX TABLE idem.records", "REINDEX TABLE CONCURRENTLY idem.records"];
/// Statements that make none.
const OTHERS: [&str; 6] = [
    "CREATE INDEX chaos ON idem.records (completed_at)",
    "DROP INDEX idem.chaos",
    "CREATE INDEX CONCURRENTLY chaos ON idem.records (attempt)",
    "DROP INDEX CONCURRENTLY idem.chaos",
    "VACUUM (ANALYZE, FREEZE) idem.records",
    "ALTER TABLE idem.records ALTER COLUMN attempt SET STATISTICS 50",
];

pub(crate) async fn round(server: &Server, seed: u64) -> Report {
    let mut load = load([server.addr(); 2], "maintenance", seed).await;
    let (admin, observer, mut rng) =
        (connect(server.addr()).await, connect(server.addr()).await, Rng::new(seed));
    load.run(500).await;
    for millis in LOCKS {
        lock_table(&load, &admin, &observer, millis).await;
        load.answered().await;
    }
    for statement in REWRITES.into_iter().chain(OTHERS) {
        let before = files(&admin).await;
        admin.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        assert_eq!(files(&admin).await != before, REWRITES.contains(&statement), "{statement}");
        load.run(50 + rng.below(150)).await;
    }
    load.answered().await;
    let report = load.judged_by(&rules()).await;
    assert!(report.is_outlasted(), "every call outlasted the lock");
    report
}

/// Keeps everybody off the table.
async fn lock_table(load: &Load, admin: &Client, observer: &Client, millis: u64) {
    const WAITING: &str =
        "SELECT count(*) FROM pg_locks WHERE relation = 'idem.records'::regclass AND NOT granted";
    admin.batch_execute("BEGIN; LOCK TABLE idem.records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let held = async {
        while number(observer, WAITING).await == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        load.run(millis).await;
    };
    timeout(Duration::from_secs(30), held).await.unwrap();
    admin.batch_execute("ROLLBACK").await.unwrap();
}

/// The files of the table and of the index of its keys.
async fn files(admin: &Client) -> (i64, i64) {
    let file = |of: &str| format!("SELECT pg_relation_filenode('idem.{of}')::bigint");
    (number(admin, &file("records")).await, number(admin, &file("records_pkey")).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_table_is_locked_rewritten_and_indexed() {
    let server = options(turn(0)).start().await;
    judged("maintenance", &round(&server, 1).await);
}
