//! Books in the database of a PostgreSQL store, by sqlx.

use async_trait::async_trait;
use idem_http::Attempt;
use idem_postgres::PostgresStore;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::{Books, Change, LISTED, Payment, booked, empty_document, not_booked, patched, rolled_back};
use crate::Result;
use crate::answer::Answer;

/// The tables. Servers that start at once make them one after the other.
const TABLES: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(7021);
    CREATE SCHEMA IF NOT EXISTS demo;
    CREATE TABLE IF NOT EXISTS demo.payments (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account bigint NOT NULL,
        cents bigint NOT NULL,
        reference text NOT NULL
    );
    CREATE INDEX IF NOT EXISTS payments_account ON demo.payments (account, id);
    CREATE TABLE IF NOT EXISTS demo.accounts (account bigint PRIMARY KEY, document text NOT NULL);
    COMMIT";

pub(crate) struct PostgresBooks {
    store: PostgresStore,
    pool: PgPool,
}

impl PostgresBooks {
    pub(crate) async fn open(store: PostgresStore, pool: PgPool) -> Result<Self> {
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(Self { store, pool })
    }

    /// The change and the completion of the attempt's key in one transaction. An error has rolled it back.
    async fn with_key(&self, attempt: &Attempt, account: u64, change: Change) -> Result<Answer> {
        let mut transaction = self.pool.begin().await?;
        let answer = write(&mut transaction, account, change).await?;
        let outcome = attempt.outcome(&answer)?;
        let transacted = self.store.complete_and_commit(transaction, attempt.lease(), outcome).await;
        Ok(attempt.conclude(transacted)?)
    }

    async fn without_key(&self, account: u64, change: Change) -> Result<Answer> {
        let mut transaction = self.pool.begin().await?;
        let answer = write(&mut transaction, account, change).await?;
        transaction.commit().await?;
        Ok(answer)
    }
}

#[async_trait]
impl Books for PostgresBooks {
    async fn change(&self, attempt: Option<&Attempt>, account: u64, change: Change) -> Answer {
        match attempt {
            Some(attempt) => {
                let changed = self.with_key(attempt, account, change).await;
                changed.unwrap_or_else(|error| rolled_back(&*error))
            }
            None => self.without_key(account, change).await.unwrap_or_else(|error| not_booked(&*error)),
        }
    }

    async fn payments(&self, account: u64, after: u64) -> Result<Vec<Payment>> {
        let rows: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT id, cents, reference FROM demo.payments WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(i64::try_from(account)?)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(LISTED)?)
        .fetch_all(&self.pool)
        .await?;
        let payment = |(id, cents, reference)| {
            Ok(Payment { id: u64::try_from(id)?, cents: u64::try_from(cents)?, reference })
        };
        rows.into_iter().map(payment).collect()
    }

    async fn document(&self, account: u64) -> Result<Value> {
        let mut connection = self.pool.acquire().await?;
        document(&mut connection, account, "SELECT document FROM demo.accounts WHERE account = $1").await
    }
}

async fn write(connection: &mut PgConnection, account: u64, change: Change) -> Result<Answer> {
    match change {
        Change::Payment { cents, reference } => {
            let id: i64 = sqlx::query_scalar(
                "INSERT INTO demo.payments (account, cents, reference) VALUES ($1, $2, $3) RETURNING id",
            )
            .bind(i64::try_from(account)?)
            .bind(i64::try_from(cents)?)
            .bind(reference)
            .fetch_one(connection)
            .await?;
            Ok(booked(u64::try_from(id)?, cents))
        }
        Change::Document(patch) => {
            // Makes the row that is then locked, so that two changes follow one another.
            sqlx::query("INSERT INTO demo.accounts VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(i64::try_from(account)?)
                .bind(empty_document(account).to_string())
                .execute(&mut *connection)
                .await?;
            let locked = "SELECT document FROM demo.accounts WHERE account = $1 FOR UPDATE";
            let (answer, document) = patched(document(connection, account, locked).await?, &patch);
            if let Some(document) = document {
                sqlx::query("UPDATE demo.accounts SET document = $2 WHERE account = $1")
                    .bind(i64::try_from(account)?)
                    .bind(document.to_string())
                    .execute(connection)
                    .await?;
            }
            Ok(answer)
        }
    }
}

async fn document(connection: &mut PgConnection, account: u64, query: &'static str) -> Result<Value> {
    let query = sqlx::query_scalar::<_, String>(query).bind(i64::try_from(account)?);
    match query.fetch_optional(connection).await? {
        Some(text) => Ok(serde_json::from_str(&text)?),
        None => Ok(empty_document(account)),
    }
}
