//! Connections that end at any moment: what is in the books is what was paid, each key once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{Claim, Execution, Lease, LockAnswer, Outcome, Owner, Policy, StoreExt as _, Transacted};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::books::Books;
use crate::libraries::sqlx_pool;
use crate::support::{connect, fingerprint, key};

const CALLERS: usize = 12;
const KEYS: usize = 25;
const KILLS: usize = 40;

/// Each key is asked for by two callers, each of which asks until it has an answer.
#[tokio::test]
async fn each_key_is_booked_once_while_connections_end_at_any_moment() {
    let books = Arc::new(Books::open().await);
    let pool = sqlx_pool(&books).await;
    let paid = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (books, pool, paid) = (Arc::clone(&books), pool.clone(), Arc::clone(&paid));
        callers.spawn(async move {
            for number in 0..KEYS {
                let name = format!("{}-{number}", caller / 2);
                // Half of them lock in the transaction too.
                if caller % 4 == 3 {
                    in_one(&books, &pool, &name).await
                } else {
                    by_execute(&books, &pool, &name).await
                }
                paid.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let client = connect(&books.config).await;
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM (
            SELECT pid FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND (query LIKE '%{0}%' OR application_name = '{0}')
            ORDER BY random() LIMIT 3
         ) AS several",
        books.config.schema
    );
    for _ in 0..KILLS {
        sleep(Duration::from_millis(25)).await;
        client.query(&end, &[]).await.unwrap();
    }
    callers.join_all().await;
    assert_eq!(paid.load(Ordering::Relaxed), CALLERS * KEYS);
    assert_eq!(books.count().await, i64::try_from(CALLERS / 2 * KEYS).unwrap());
    let completed = format!("SELECT count(*) FROM {}.records WHERE state = 3", books.config.schema);
    let completed: i64 = client.query_one(&completed, &[]).await.unwrap().get(0);
    assert_eq!(completed, books.count().await);
}

async fn by_execute(books: &Books, pool: &PgPool, name: &str) {
    let policy = Policy::new(Duration::from_secs(2), Duration::from_hours(1)).wait(Duration::from_secs(5));
    loop {
        let work = |lease: Lease| async move {
            let mut transaction = pool.begin().await.map_err(|error| error.to_string())?;
            book(books, &mut transaction).await?;
            match books.store.complete_and_commit(transaction, &lease, paid()).await {
                Ok(Transacted::Applied | Transacted::AlreadyCompleted) => Ok(Outcome::Value("paid".into())),
                other => Err(format!("{other:?}")),
            }
        };
        let executed = books.store.execute_outcome(&key(name), &fingerprint(), &policy, work).await;
        if let Ok(Execution::Executed(_) | Execution::Replayed(_)) = executed {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Lock, work and completion in one transaction.
async fn in_one(books: &Books, pool: &PgPool, name: &str) {
    loop {
        if let Ok(true) = try_in_one(books, pool, name).await {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn try_in_one(
    books: &Books,
    pool: &PgPool,
    name: &str,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let claim =
        Claim { owner: Owner::random()?, lease: Duration::from_secs(2), retention: Duration::from_hours(1) };
    let mut transaction = pool.begin().await?;
    match books.store.lock_in(&mut transaction, &key(name), &fingerprint(), &claim).await? {
        LockAnswer::Completed(_) => Ok(true),
        LockAnswer::Acquired(lease) => {
            book(books, &mut transaction).await?;
            let transacted = books.store.complete_and_commit(transaction, &lease, paid()).await?;
            Ok(matches!(transacted, Transacted::Applied | Transacted::AlreadyCompleted))
        }
        LockAnswer::InProgress { .. } | LockAnswer::FingerprintMismatch => Ok(false),
    }
}

fn paid() -> Outcome {
    Outcome::Value("paid".into())
}

async fn book(books: &Books, transaction: &mut sqlx::PgConnection) -> Result<(), String> {
    let booked = sqlx::query(AssertSqlSafe(books.payment())).execute(transaction).await;
    booked.map(drop).map_err(|error| error.to_string())
}
