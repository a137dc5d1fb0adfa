//! The libraries of which an application may have its transaction.

#[cfg(feature = "deadpool-postgres")]
mod deadpool_postgres;
#[cfg(feature = "sqlx")]
mod sqlx;
mod tokio_postgres;

use self::sealed::{Committing, Running};

/// A transaction of the application, for [`complete_in`](crate::PostgresStore::complete_in) and
/// [`lock_in`](crate::PostgresStore::lock_in).
///
/// | type | feature |
/// |---|---|
/// | `sqlx::Transaction<'_, Postgres>`, or a `sqlx::PgConnection` on which its `begin` has begun one | `sqlx` |
/// | `deadpool_postgres::Transaction<'_>` | `deadpool-postgres` |
/// | `tokio_postgres::Transaction<'_>` | none |
///
/// For any other library there is [`completion_sql`](crate::PostgresStore::completion_sql).
///
/// On a connection on which the application has prepared something itself (`prepare_cached` of deadpool-postgres, the cache of
/// sqlx) the statement is prepared too, and costs less. Elsewhere nothing is prepared, since behind a pooler what one session
/// has prepared may be another client's.
pub trait Transaction: Running {}

impl<T: Running> Transaction for T {}

/// A [`Transaction`] that can be committed: each of those types but `PgConnection`.
pub trait Commit: Transaction + Committing {}

impl<T: Committing> Commit for T {}

pub(super) mod sealed {
    use crate::sql::{Refusal, Row};
    use crate::transaction::statement::Statement;

    /// Nobody else implements it.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is no transaction that idem-postgres knows",
        note = "it knows `tokio_postgres::Transaction` of 0.7; with its feature `sqlx`, `sqlx::Transaction<'_, Postgres>` and \
                `PgConnection` of 0.9; with its feature `deadpool-postgres`, `deadpool_postgres::Transaction` of 0.14"
    )]
    pub trait Running: Send {
        /// The one row of the answer.
        fn run(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<Row, Refusal>> + Send;
    }

    #[diagnostic::on_unimplemented(
        message = "`{Self}` is no transaction that idem-postgres knows how to commit",
        note = "it knows `tokio_postgres::Transaction` of 0.7; with its feature `sqlx`, `sqlx::Transaction<'_, Postgres>` of \
                0.9; with its feature `deadpool-postgres`, `deadpool_postgres::Transaction` of 0.14"
    )]
    pub trait Committing: Running {
        fn commit(self) -> impl Future<Output = Result<(), Refusal>> + Send;

        fn rollback(self) -> impl Future<Output = Result<(), Refusal>> + Send;
    }
}
