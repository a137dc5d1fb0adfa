//! Many stores and other clients at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idem_core::{Effect, LockAnswer, Store as _};
use idem_postgres::{PostgresConfig, PostgresStore};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::{Pooled, SESSIONS};
use crate::support::{LEASE, RETENTION, claim, connect, fingerprint, key, lock, open, value};

const STORES: usize = 4;
const CALLERS: usize = 12;
const ROUNDS: usize = 12;
/// As clients number their statements.
const NAMES: usize = 100;

/// Other clients have left statements in the sessions by the names that the store's library gives its own.
#[tokio::test]
async fn stores_and_other_clients_share_a_few_sessions_and_each_gets_its_own_answers() {
    let pooled = Pooled::start().await;
    let _stores = open(&pooled.config).await;
    let foreign: Vec<_> = (0..NAMES).map(|name| format!("PREPARE s{name} AS SELECT {name}")).collect();
    drop(pooled.in_each_session(&foreign.join(";")).await);
    let table = format!("books_of_{}", pooled.config.schema);
    let admin = connect(&pooled.direct()).await;
    admin.batch_execute(&format!("CREATE TABLE {table} (cents bigint)")).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let others: JoinSet<()> = (0..3).map(|_| other(pooled.config.clone(), Arc::clone(&over))).collect();
    let mut callers = JoinSet::new();
    for name in 0..STORES {
        let (store, another) = (open(&pooled.config).await, open(&pooled.config).await);
        for caller in 0..CALLERS {
            let (store, another, config) = (store.clone(), another.clone(), pooled.config.clone());
            let table = table.clone();
            callers.spawn(async move {
                let mut client = connect(&config).await;
                for round in 0..ROUNDS {
                    let name = format!("{name}-{caller}-{round}");
                    if round % 4 == 3 {
                        pay(&store, &mut client, &table, &name).await;
                    } else {
                        live(&store, &another, &name).await;
                    }
                }
            });
        }
    }
    callers.join_all().await;
    over.store(true, Ordering::Relaxed);
    others.join_all().await;
    let count = async |what: String| {
        let count = format!("SELECT count(*) FROM {what}");
        usize::try_from(admin.query_one(&count, &[]).await.unwrap().get::<_, i64>(0)).unwrap()
    };
    let records = format!("{}.records", pooled.config.schema);
    assert_eq!(count(format!("{records} WHERE state = 3")).await, STORES * CALLERS * ROUNDS);
    assert_eq!(count(format!("{records} WHERE state <> 3")).await, 0);
    assert_eq!(count(table).await, STORES * CALLERS * ROUNDS / 4);
    let statements = pooled.count_in_sessions("pg_prepared_statements").await;
    assert_eq!(usize::try_from(statements).unwrap(), SESSIONS * NAMES, "the store has prepared something");
}

/// All calls on one key.
async fn live(store: &PostgresStore, another: &PostgresStore, name: &str) {
    let key = key(name);
    let lease = lock(store, &key, &claim()).await;
    assert_eq!(lease.attempt(), 1);
    let other = another.lock(&key, &fingerprint(), &claim()).await.unwrap();
    assert!(matches!(other, LockAnswer::InProgress { .. }), "{other:?}");
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    let claim = claim();
    let lease = lock(another, &key, &claim).await;
    assert_eq!(another.checkpoint(&lease, 1, "half".into(), LEASE).await.unwrap(), Effect::Applied);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key, Duration::from_mins(1)).await }
    });
    assert_eq!(another.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    assert!(waiting.await.unwrap().unwrap());
    let replay = store.lock(&key, &fingerprint(), &claim).await.unwrap();
    let LockAnswer::Completed(replay) = replay else { panic!("{replay:?}") };
    assert_eq!((replay.outcome, replay.token), (value("done"), lease.token()));
    assert_eq!(store.get(&key).await.unwrap().unwrap().outcome(), Some(&value("done")));
}

/// A payment and its key in a transaction behind the pooler.
async fn pay(store: &PostgresStore, client: &mut Client, table: &str, name: &str) {
    let lease = lock(store, &key(name), &claim()).await;
    let mut transaction = client.transaction().await.unwrap();
    transaction.batch_execute(&format!("INSERT INTO {table} VALUES (1250)")).await.unwrap();
    let completion = store.complete_in(&mut transaction, &lease, value("paid")).await.unwrap();
    transaction.commit().await.unwrap();
    completion.committed();
}

/// A client that has nothing to do with the store, and runs what it has prepared within each transaction.
async fn other(config: PostgresConfig, over: Arc<AtomicBool>) {
    let mut client = connect(&config).await;
    while !over.load(Ordering::Relaxed) {
        let transaction = client.transaction().await.unwrap();
        let row = transaction.simple_query("EXECUTE s7").await.unwrap();
        let told = row.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) == Some("7"),
            _ => false,
        });
        assert!(told);
        transaction.commit().await.unwrap();
    }
}
