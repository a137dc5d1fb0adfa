//! Records whose rows another transaction has locked, and keys that one has inserted, while it is open.

use std::time::Duration;

use idem_core::{Claim, Effect, Error, ErrorKind, Key, Lease, LockAnswer, Result, Store as _};
use idem_postgres::PostgresStore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::support::{
    RETENTION, answers, claim, config, connect, fingerprint, key, lock, locks, open, value,
};

/// As long as the application's transaction stays open in these tests.
const OPEN: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_locked_row_holds_up_its_own_key_alone() {
    let config = config().await;
    let store = open(&config).await;
    let held = lock(&store, &key("held"), &claim()).await;
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    let select = format!("SELECT FROM {}.records FOR UPDATE", config.schema);
    assert_eq!(transaction.query(&select, &[]).await.unwrap().len(), 1);
    let completing = tokio::spawn({
        let (store, held) = (store.clone(), held.clone());
        async move { store.complete(&held, value("done"), RETENTION).await }
    });
    let slowest = slowest_of_others(&store, OPEN).await;
    assert!(!completing.is_finished(), "its row is locked");
    transaction.commit().await.unwrap();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
    assert!(slowest < OPEN / 2, "another key waited {slowest:?}");
}

#[tokio::test]
async fn a_key_that_an_open_transaction_inserted_holds_up_itself_alone() {
    let config = config().await;
    let store = open(&config).await;
    let (application, contested) = (connect(&config).await, key("contested"));
    application.batch_execute("BEGIN").await.unwrap();
    insert(&store, &application, &config.schema, &contested).await;
    // Several, so that those that come while the first was set aside are set aside too.
    let locking = callers(&store, contested, 64);
    let slowest = slowest_of_others(&store, OPEN).await;
    assert!(locking.iter().all(|locking| !locking.is_finished()), "nobody knows yet whose key it is");
    application.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(holders(locking).await, (1, 0));
    assert!(slowest < OPEN / 2, "another key waited {slowest:?}");
}

#[tokio::test]
async fn a_row_that_stays_locked_times_out_and_says_why() {
    let locked = RowLocked::new().await;
    let error = locked.complete().await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("another session"), "{error}");
}

#[tokio::test]
async fn a_failure_from_before_the_call_is_not_told_as_its_cause() {
    let locked = RowLocked::new().await;
    let error = locked.complete().await;
    assert!(error.to_string().contains("another session"), "{error}");
    let lock_table = format!("ROLLBACK; BEGIN; LOCK TABLE {}.records", locked.schema);
    locked.application.batch_execute(&lock_table).await.unwrap();
    let error = locked.complete().await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!error.to_string().contains("another session"), "{error}");
}

/// A lease whose record's row an open transaction of the application has locked, in a store that gives up soon.
struct RowLocked {
    schema: String,
    store: PostgresStore,
    held: Lease,
    application: Client,
}

impl RowLocked {
    async fn new() -> Self {
        let mut config = config().await;
        config.call_timeout = Duration::from_millis(500);
        let store = open(&config).await;
        let held = lock(&store, &key("held"), &claim()).await;
        let application = connect(&config).await;
        let select = format!("BEGIN; SELECT FROM {}.records FOR UPDATE", config.schema);
        application.batch_execute(&select).await.unwrap();
        Self { schema: config.schema, store, held, application }
    }

    /// Why the key cannot be completed.
    async fn complete(&self) -> Error {
        self.store.complete(&self.held, value("done"), RETENTION).await.unwrap_err()
    }
}

/// `VACUUM FULL`, or a migration of somebody's: nothing goes on meanwhile, all of it does afterwards, and the calls do not
/// take one connection of the server after the other.
#[tokio::test]
async fn a_locked_table_is_waited_for_without_more_connections() {
    let mut config = config().await;
    config.response_timeout = Duration::from_millis(200);
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let mut application = connect(&config).await;
    let transaction = application.transaction().await.unwrap();
    transaction.batch_execute(&format!("LOCK TABLE {}.records", config.schema)).await.unwrap();
    let completing = tokio::spawn({
        let store = store.clone();
        async move { store.complete(&lease, value("done"), RETENTION).await }
    });
    let locking = tokio::spawn({
        let store = store.clone();
        async move { store.lock(&key("other"), &fingerprint(), &claim()).await }
    });
    sleep(Duration::from_secs(3)).await;
    let waiting = format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{}%'", config.schema);
    let waiting: i64 = connect(&config).await.query_one(&waiting, &[]).await.unwrap().get(0);
    assert!(!completing.is_finished() && !locking.is_finished());
    transaction.commit().await.unwrap();
    assert_eq!(completing.await.unwrap().unwrap(), Effect::Applied);
    assert!(matches!(locking.await.unwrap().unwrap(), LockAnswer::Acquired(_)));
    // Five of the store's at most, some that are about to be cancelled, and the application's two.
    assert!(waiting <= 12, "{waiting} connections");
}

#[tokio::test]
async fn thousands_who_wait_for_one_key_hold_up_nobody_else() {
    // The callers alone keep a busy machine at work for seconds.
    let open_for = 4 * OPEN;
    for inserted in [false, true] {
        let mut config = config().await;
        config.call_timeout = Duration::from_secs(20);
        let store = open(&config).await;
        let (application, contested) = (connect(&config).await, key("contested"));
        application.batch_execute("BEGIN").await.unwrap();
        if inserted {
            insert(&store, &application, &config.schema, &contested).await;
        } else {
            let brief = Claim { lease: Duration::from_millis(1), ..claim() };
            drop(lock(&store, &contested, &brief).await);
            let select = format!("SELECT FROM {}.records FOR UPDATE", config.schema);
            assert_eq!(application.query(&select, &[]).await.unwrap().len(), 1);
        }
        let locking = callers(&store, contested, 10_000);
        let slowest = slowest_of_others(&store, open_for).await;
        application.batch_execute("ROLLBACK").await.unwrap();
        let (acquired, refused) = holders(locking).await;
        assert_eq!(acquired, 1, "inserted: {inserted}");
        assert!(refused > 0, "inserted: {inserted}: somebody has to give way");
        assert!(slowest < open_for / 2, "inserted: {inserted}: another key waited {slowest:?}");
    }
}

/// Each of them takes the server some time to find out that its transaction is still open.
#[tokio::test]
async fn a_key_that_is_free_again_does_not_wait_behind_many_that_are_not() {
    let mut config = config().await;
    config.call_timeout = Duration::from_secs(20);
    let store = open(&config).await;
    let (application, others) = (connect(&config).await, connect(&config).await);
    let contested = key("contested");
    for client in [&application, &others] {
        client.batch_execute("BEGIN").await.unwrap();
    }
    insert(&store, &application, &config.schema, &contested).await;
    let mut locking = Vec::new();
    for number in 0..40 {
        let key = key(format!("still inserted {number}"));
        insert(&store, &others, &config.schema, &key).await;
        locking.extend(callers(&store, key, 20));
    }
    let locking_contested = callers(&store, contested, 20);
    // By then all of them go by the connection of those that were set aside.
    sleep(OPEN).await;
    application.batch_execute("ROLLBACK").await.unwrap();
    let free = Instant::now();
    assert_eq!(holders(locking_contested).await, (1, 0));
    let waited = free.elapsed();
    assert!(locking.iter().all(|locking| !locking.is_finished()), "nobody knows yet whose keys they are");
    others.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(holders(locking).await, (40, 0));
    assert!(waited < OPEN / 2, "it waited {waited:?}");
}

/// Inserts a record in the application's transaction, with a copy of another one's columns.
async fn insert(store: &PostgresStore, application: &Client, schema: &str, key: &Key) {
    let model = crate::support::key("model");
    drop(store.lock(&model, &fingerprint(), &claim()).await.unwrap());
    let insert = format!(
        "INSERT INTO {schema}.records SELECT sequence, attempt, expires_at, sweep_at, lease_until, retention, completed_at,
             step, state, waited, $1, owner, fingerprint, body FROM {schema}.records WHERE key = $2"
    );
    let keys = [key, &model].map(|key| &key.storage_key()[..]);
    assert_eq!(application.execute(&insert, &[&keys[0], &keys[1]]).await.unwrap(), 1);
}

/// So many who want to lock this key.
fn callers(store: &PostgresStore, key: Key, number: usize) -> Vec<JoinHandle<Result<LockAnswer>>> {
    locks(store, key, (0..number).map(|_| (fingerprint(), claim())))
}

/// How many of them acquired their key, and how many were refused since too many wait for it.
async fn holders(locking: Vec<JoinHandle<Result<LockAnswer>>>) -> (usize, usize) {
    let (mut acquired, mut refused) = (0, 0);
    for answer in answers(locking).await {
        match answer {
            Ok(LockAnswer::Acquired(_)) => acquired += 1,
            Ok(LockAnswer::InProgress { .. }) => {}
            Err(error) if error.kind() == ErrorKind::Unavailable => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    (acquired, refused)
}

/// Locks and completes other keys for as long, and gives the longest that one of them took.
async fn slowest_of_others(store: &PostgresStore, time: Duration) -> Duration {
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    for number in 0.. {
        let sent = Instant::now();
        let lease = lock(store, &key(format!("other-{number}")), &claim()).await;
        let effect = store.complete(&lease, value("done"), RETENTION).await.unwrap();
        assert_eq!(effect, Effect::Applied);
        slowest = slowest.max(sent.elapsed());
        if begun.elapsed() > time {
            break;
        }
    }
    slowest
}
