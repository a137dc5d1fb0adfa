//! The same for a transaction of each library.

use idem_core::{Effect, LostReason, Store as _, Transacted};
use idem_postgres::NotCompleted;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_postgres::NoTls;

use crate::books::Books;
use crate::support::{RETENTION, claim, connect, key, lock, value};

/// The cases, by how the library connects, begins a transaction and writes.
macro_rules! library {
    (
        $library:ident,
        |$books:ident| $connect:expr,
        |$connection:ident| $begin:expr,
        |$transaction:ident, $sql:ident| $write:expr
    ) => {
        mod $library {
            use super::*;

            #[tokio::test]
            async fn commits_its_rows_and_the_completion_together() {
                let $books = Books::open().await;
                #[allow(unused_mut, reason = "a pool is not changed")]
                let mut $connection = $connect;
                let lease = lock(&$books.store, &key("order"), &claim()).await;
                let mut $transaction = $begin;
                let $sql = $books.payment();
                $write;
                let completion =
                    $books.store.complete_in(&mut $transaction, &lease, value("paid")).await.unwrap();
                let record = $books.store.get(&key("order")).await.unwrap().unwrap();
                assert_eq!((record.outcome(), $books.count().await), (None, 0), "nothing is committed yet");
                $transaction.commit().await.unwrap();
                assert!(!lease.is_completed());
                completion.committed();
                assert!(lease.is_completed());
                let record = $books.store.get(&key("order")).await.unwrap().unwrap();
                assert_eq!((record.outcome(), $books.count().await), (Some(&value("paid")), 1));
            }

            #[tokio::test]
            async fn commits_in_one_call() {
                let $books = Books::open().await;
                #[allow(unused_mut, reason = "a pool is not changed")]
                let mut $connection = $connect;
                let lease = lock(&$books.store, &key("order"), &claim()).await;
                #[allow(unused_mut, reason = "one library writes by a mutable transaction")]
                let mut $transaction = $begin;
                let $sql = $books.payment();
                $write;
                let transacted =
                    $books.store.complete_and_commit($transaction, &lease, value("paid")).await.unwrap();
                assert!(matches!(transacted, Transacted::Applied), "{transacted:?}");
                assert!(lease.is_completed());
                let record = $books.store.get(&key("order")).await.unwrap().unwrap();
                assert_eq!((record.outcome(), $books.count().await), (Some(&value("paid")), 1));
            }

            #[tokio::test]
            async fn rolls_back_both() {
                let $books = Books::open().await;
                #[allow(unused_mut, reason = "a pool is not changed")]
                let mut $connection = $connect;
                let lease = lock(&$books.store, &key("order"), &claim()).await;
                let mut $transaction = $begin;
                let $sql = $books.payment();
                $write;
                let completion =
                    $books.store.complete_in(&mut $transaction, &lease, value("paid")).await.unwrap();
                $transaction.rollback().await.unwrap();
                assert_eq!(completion.find_out().await.unwrap(), Transacted::RolledBack(()));
                assert_eq!($books.count().await, 0);
                let completed = $books.store.complete(&lease, value("refused"), RETENTION).await.unwrap();
                assert_eq!(completed, Effect::Applied, "the lease is still held");
            }

            /// Also by an application that looks away.
            #[tokio::test]
            async fn cannot_commit_under_a_lost_lease() {
                let $books = Books::open().await;
                #[allow(unused_mut, reason = "a pool is not changed")]
                let mut $connection = $connect;
                let lease = lock(&$books.store, &key("order"), &claim()).await;
                assert!($books.store.remove(&key("order"), true).await.unwrap());
                drop(lock(&$books.store, &key("order"), &claim()).await);
                let mut $transaction = $begin;
                let $sql = $books.payment();
                $write;
                let not_completed =
                    $books.store.complete_in(&mut $transaction, &lease, value("paid")).await.unwrap_err();
                assert!(
                    matches!(not_completed, NotCompleted::Lost(LostReason::Superseded)),
                    "{not_completed:?}"
                );
                assert!(lease.is_lost());
                let _ = $transaction.commit().await;
                assert_eq!($books.count().await, 0);
            }

            #[tokio::test]
            async fn cannot_commit_a_second_time() {
                let $books = Books::open().await;
                #[allow(unused_mut, reason = "a pool is not changed")]
                let mut $connection = $connect;
                let lease = lock(&$books.store, &key("order"), &claim()).await;
                for expected in ["Applied", "AlreadyCompleted"] {
                    #[allow(unused_mut, reason = "one library writes by a mutable transaction")]
                    let mut $transaction = $begin;
                    let $sql = $books.payment();
                    $write;
                    let transacted =
                        $books.store.complete_and_commit($transaction, &lease, value("paid")).await.unwrap();
                    assert_eq!(format!("{transacted:?}"), expected);
                }
                assert_eq!($books.count().await, 1);
            }

            #[tokio::test]
            async fn does_not_take_the_end_of_a_savepoint_for_a_commit() {
                let $books = Books::open().await;
                #[allow(unused_mut, reason = "a pool is not changed")]
                let mut $connection = $connect;
                let lease = lock(&$books.store, &key("order"), &claim()).await;
                #[allow(unused_mut, reason = "one library begins by a mutable connection")]
                let mut outer = $begin;
                {
                    let $connection = &mut outer;
                    #[allow(unused_mut, reason = "one library writes by a mutable transaction")]
                    let mut $transaction = begin_inside!($library, $connection);
                    let $sql = $books.payment();
                    $write;
                    let transacted =
                        $books.store.complete_and_commit($transaction, &lease, value("paid")).await.unwrap();
                    assert!(matches!(transacted, Transacted::RolledBack(_)), "{transacted:?}");
                }
                outer.commit().await.unwrap();
                assert_eq!($books.count().await, 0);
                assert!($books.store.get(&key("order")).await.unwrap().unwrap().outcome().is_none());
            }
        }
    };
}

macro_rules! begin_inside {
    (of_sqlx, $outer:ident) => {
        sqlx::Connection::begin(&mut **$outer).await.unwrap()
    };
    ($library:ident, $outer:ident) => {
        $outer.transaction().await.unwrap()
    };
}

library!(
    of_tokio_postgres,
    |books| connect(&books.config).await,
    |client| client.transaction().await.unwrap(),
    |transaction, sql| transaction.batch_execute(&sql).await.unwrap()
);

library!(
    of_deadpool_postgres,
    |books| deadpool(&books).get().await.unwrap(),
    |client| client.transaction().await.unwrap(),
    |transaction, sql| transaction.batch_execute(&sql).await.unwrap()
);

library!(of_sqlx, |books| sqlx_pool(&books).await, |pool| pool.begin().await.unwrap(), |transaction, sql| {
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap()
});

pub(crate) fn deadpool(books: &Books) -> deadpool_postgres::Pool {
    let mut config = tokio_postgres::Config::new();
    let server = &books.config.servers[0];
    config.host(&server.host).port(server.port).user("postgres").dbname("postgres");
    let manager = deadpool_postgres::Manager::new(config, NoTls);
    deadpool_postgres::Pool::builder(manager).max_size(8).build().unwrap()
}

pub(crate) async fn sqlx_pool(books: &Books) -> PgPool {
    let server = &books.config.servers[0];
    let options = PgConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username("postgres")
        .database("postgres")
        .application_name(&books.config.schema);
    PgPoolOptions::new().max_connections(8).connect_with(options).await.unwrap()
}
