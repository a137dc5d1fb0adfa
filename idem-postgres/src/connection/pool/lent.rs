//! One connection of the pool, for as long as it is borrowed.

#[cfg(feature = "deadpool-postgres")]
use deadpool_postgres::Object;
#[cfg(feature = "sqlx")]
use sqlx::{Postgres, pool::PoolConnection};

#[cfg(feature = "sqlx")]
use super::of_sqlx::{self, Kept};
use crate::error::Failure;
use crate::sql::{Executor, Parameter, Refusal, Row};

/// A borrowed connection. Dropped, it is closed, as it must be after a failure, and when a statement is under way; the pool
/// then opens another one. So it must be [given back](Lent::give_back) to remain the pool's.
#[derive(Debug)]
pub(crate) struct Lent {
    /// None once it is given back.
    borrowed: Option<Borrowed>,
    /// What its statements begin with.
    tag: String,
    in_transaction: bool,
    /// Whether its session may be left in a transaction.
    is_spoiled: bool,
}

enum Borrowed {
    #[cfg(feature = "deadpool-postgres")]
    Deadpool(Object),
    #[cfg(feature = "sqlx")]
    Sqlx(PoolConnection<Postgres>, Kept),
}

impl Lent {
    #[cfg(feature = "deadpool-postgres")]
    pub(super) fn deadpool(object: Object) -> Self {
        Self::of(Borrowed::Deadpool(object))
    }

    #[cfg(feature = "sqlx")]
    pub(super) fn sqlx(connection: PoolConnection<Postgres>, kept: Kept) -> Self {
        Self::of(Borrowed::Sqlx(connection, kept))
    }

    fn of(borrowed: Borrowed) -> Self {
        Self { borrowed: Some(borrowed), tag: String::new(), in_transaction: false, is_spoiled: false }
    }

    /// From now on its statements begin with this comment.
    pub(super) fn tag(&mut self, tag: &str) {
        tag.clone_into(&mut self.tag);
    }

    /// Whether its session takes no writes.
    pub(crate) async fn only_reads(&mut self) -> Result<bool, Failure> {
        self.row("SELECT current_setting('transaction_read_only') = 'on'", &[]).await?.get(0)
    }

    pub(crate) fn give_back(mut self) {
        if !self.is_spoiled {
            // What is dropped inside returns to its pool.
            drop(self.borrowed.take());
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        match self.borrowed.take() {
            #[cfg(feature = "deadpool-postgres")]
            Some(Borrowed::Deadpool(object)) => drop(Object::take(object)),
            #[cfg(feature = "sqlx")]
            Some(Borrowed::Sqlx(connection, _)) => drop(connection.detach()),
            None => {}
        }
    }
}

impl Executor for Lent {
    async fn script(&mut self, sql: &str) -> Result<(), Refusal> {
        match &mut self.borrowed {
            #[cfg(feature = "deadpool-postgres")]
            Some(Borrowed::Deadpool(object)) => Executor::script(&mut ***object, sql).await,
            #[cfg(feature = "sqlx")]
            Some(Borrowed::Sqlx(connection, _)) => Executor::script(&mut **connection, sql).await,
            None => Err(given_back()),
        }
    }

    async fn begin(&mut self) -> Result<(), Refusal> {
        self.in_transaction = true;
        self.script("BEGIN").await
    }

    async fn commit(&mut self) -> Result<(), Refusal> {
        self.script("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn rows(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Refusal> {
        let sql = &format!("{}{sql}", self.tag);
        match &mut self.borrowed {
            #[cfg(feature = "deadpool-postgres")]
            Some(Borrowed::Deadpool(object)) => Executor::rows(&mut ***object, sql, parameters).await,
            #[cfg(feature = "sqlx")]
            Some(Borrowed::Sqlx(connection, Kept::Yes)) => {
                Executor::rows(&mut **connection, sql, parameters).await
            }
            #[cfg(feature = "sqlx")]
            Some(Borrowed::Sqlx(connection, Kept::No)) if self.in_transaction => {
                of_sqlx::rows_kept_not(connection, sql, parameters).await
            }
            #[cfg(feature = "sqlx")]
            Some(Borrowed::Sqlx(connection, Kept::No)) => {
                self.is_spoiled = true;
                Executor::script(&mut **connection, &format!("{}BEGIN", self.tag)).await?;
                let rows = of_sqlx::rows_kept_not(connection, sql, parameters).await;
                let end = if rows.is_ok() { "COMMIT" } else { "ROLLBACK" };
                Executor::script(&mut **connection, &format!("{}{end}", self.tag)).await?;
                self.is_spoiled = false;
                rows
            }
            None => Err(given_back()),
        }
    }
}

fn given_back() -> Refusal {
    Refusal::without_answer("the connection was given back to its pool".to_owned())
}

impl std::fmt::Debug for Borrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Borrowed")
    }
}
