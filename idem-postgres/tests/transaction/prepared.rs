//! Statements are prepared on a connection of the application where it prepares statements itself, and not otherwise: behind
//! a pooler in transaction mode they would be another client's.

use idem_core::{ErrorKind, LockAnswer, Result};
use idem_postgres::Transaction;
use sqlx::Connection as _;

use crate::books::Books;
use crate::libraries::{deadpool, sqlx_pool};
use crate::support::{claim, fingerprint, key};

/// Statements of the store that the session has prepared.
const PREPARED: &str = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%lock_in%'";
/// As a later version of the crate may do it while this one runs: one more column.
const REPLACE: &str = "ALTER FUNCTION SCHEMA.lock_in(bytea, bytea, bytea, bigint, bigint, bytea) RENAME TO lock_in_before;
    CREATE FUNCTION SCHEMA.lock_in(
        p_key bytea, p_fingerprint bytea, p_owner bytea, p_lease bigint, p_retention bigint, p_body bytea
    ) RETURNS TABLE (
        key bytea, answer smallint, sequence bigint, owner bytea, attempt bigint, remaining bigint, step bigint,
        completed_at bigint, expires_at bigint, fingerprint bytea, body bytea, extra integer
    ) LANGUAGE plpgsql AS $$ BEGIN
        RETURN QUERY SELECT found.*, 7 FROM SCHEMA.lock_in_before($1, $2, $3, $4, $5, $6) AS found;
    END $$";

async fn locked(books: &Books, transaction: &mut impl Transaction) -> Result<()> {
    let locked = books.store.lock_in(transaction, &key("order"), &fingerprint(), &claim()).await?;
    assert!(matches!(locked, LockAnswer::Acquired(_)), "{locked:?}");
    Ok(())
}

impl Books {
    async fn replace_lock_in(&self) {
        self.client.batch_execute(&REPLACE.replace("SCHEMA", &self.config.schema)).await.unwrap();
    }
}

/// The cases, by how the library connects, prepares a statement, begins a transaction, and asks for a number without
/// preparing anything.
macro_rules! library {
    (
        $library:ident,
        |$books:ident| $connect:expr,
        |$connection:ident| $prepare:expr, $begin:expr, $number:expr
    ) => {
        mod $library {
            use super::*;

            #[tokio::test]
            async fn a_statement_is_prepared_only_where_the_application_prepares() {
                let $books = Books::open().await;
                let mut $connection = $connect;
                for prepares in [false, true] {
                    if prepares {
                        $prepare;
                    }
                    for _ in 0..2 {
                        let mut transaction = $begin;
                        locked(&$books, &mut transaction).await.unwrap();
                        transaction.rollback().await.unwrap();
                    }
                    let number: i64 = $number;
                    assert_eq!(number, i64::from(prepares));
                }
            }

            #[tokio::test]
            async fn again_once_a_function_was_replaced() {
                let $books = Books::open().await;
                let mut $connection = $connect;
                $prepare;
                let mut transaction = $begin;
                locked(&$books, &mut transaction).await.unwrap();
                transaction.rollback().await.unwrap();
                $books.replace_lock_in().await;
                let mut transaction = $begin;
                let error = locked(&$books, &mut transaction).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                transaction.rollback().await.unwrap();
                let mut transaction = $begin;
                locked(&$books, &mut transaction).await.unwrap();
            }
        }
    };
}

library!(
    of_deadpool_postgres,
    |books| deadpool(&books).get().await.unwrap(),
    |connection| connection.prepare_cached("SELECT 1").await.unwrap(),
    connection.transaction().await.unwrap(),
    connection.query_typed_one(PREPARED, &[]).await.unwrap().get(0)
);

library!(
    of_sqlx,
    |books| sqlx_pool(&books).await.acquire().await.unwrap(),
    |connection| sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap(),
    connection.begin().await.unwrap(),
    sqlx::query_scalar(PREPARED).persistent(false).fetch_one(&mut *connection).await.unwrap()
);
