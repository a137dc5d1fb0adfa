//! Connections that end, and callers that are gone, at any moment: what is in the books is what was paid, each key once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{Claim, Execution, Lease, LockAnswer, Outcome, Owner, Policy, StoreExt as _, Transacted};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::books::Books;
use crate::libraries::sqlx_pool;
use crate::support::{connect, fingerprint, key};

const CALLERS: usize = 12;
const KEYS: usize = 25;
const KILLS: usize = 40;
const LEASE: Duration = Duration::from_millis(200);

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
                // Some lock in the transaction too.
                let in_one = caller % 4 == 3;
                while !pay(&books, &pool, &name, in_one).await {}
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
    let mut ended = 0;
    for _ in 0..KILLS {
        sleep(Duration::from_millis(25)).await;
        ended += client.query_one(&end, &[]).await.unwrap().get::<_, i64>(0);
    }
    callers.join_all().await;
    assert!(ended > 0);
    assert_eq!(paid.load(Ordering::Relaxed), CALLERS * KEYS);
    assert_eq!(books.count().await, i64::try_from(CALLERS / 2 * KEYS).unwrap());
    let completed = format!("SELECT count(*) FROM {}.records WHERE state = 3", books.config.schema);
    let completed: i64 = client.query_one(&completed, &[]).await.unwrap().get(0);
    assert_eq!(completed, books.count().await);
}

/// Whether the key has its answer. Half of the attempts are dropped wherever they stand.
async fn pay(books: &Books, pool: &PgPool, name: &str, in_one: bool) -> bool {
    let attempt = async {
        if in_one {
            lock_and_pay(books, pool, name).await.unwrap_or(false)
        } else {
            by_execute(books, pool, name).await
        }
    };
    let limit = if fastrand::bool() {
        Duration::from_mins(1)
    } else {
        Duration::from_micros(fastrand::u64(..20_000))
    };
    timeout(limit, attempt).await.unwrap_or(false)
}

async fn by_execute(books: &Books, pool: &PgPool, name: &str) -> bool {
    let policy = Policy::new(LEASE, Duration::from_hours(1)).wait(Duration::from_secs(5));
    let work = |lease: Lease| async move {
        let mut transaction = pool.begin().await.map_err(|error| error.to_string())?;
        book(books, &mut transaction).await?;
        match books.store.complete_and_commit(transaction, &lease, paid()).await {
            Ok(Transacted::Applied | Transacted::AlreadyCompleted) => Ok(paid()),
            other => Err(format!("{other:?}")),
        }
    };
    let executed = books.store.execute_outcome(&key(name), &fingerprint(), &policy, work).await;
    matches!(executed, Ok(Execution::Executed(_) | Execution::Replayed(_)))
}

/// Lock, work and completion in one transaction.
async fn lock_and_pay(
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
