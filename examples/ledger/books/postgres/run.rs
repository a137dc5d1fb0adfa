//! The schemas of one run: what an earlier one has left can make no verdict right or wrong.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::TABLES;
use crate::Result;

/// Fewer than there are lanes: a connection is held only while a payment is booked.
const CONNECTIONS: u32 = 8;

/// Two schemas of one database that only this run uses: one with the store's tables, one with the books.
pub(crate) struct Run {
    uri: String,
    store_schema: String,
}

impl Run {
    /// Creates both schemas, and the tables of the books. Whoever opens the store first creates the store's.
    pub(crate) async fn fresh(uri: &str) -> Result<Self> {
        let random =
            getrandom::u64().map_err(|error| format!("the system's random source failed: {error}"))?;
        let run = Self::named(uri.to_owned(), format!("ledger_{random:016x}"));
        let (store, books) = (&run.store_schema, run.books_schema());
        // Without IF NOT EXISTS: what is there is not of this run.
        let create = format!("CREATE SCHEMA {store}; CREATE SCHEMA {books}; {TABLES}");
        let mut connection = run.connect("ledger supervisor").await?;
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(run)
    }

    /// As [`fresh`](Self::fresh) made it in the process that started this one.
    pub(crate) fn named(uri: String, store_schema: String) -> Self {
        Self { uri, store_schema }
    }

    /// The database, as the user named it. It may have a password in it.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn store_schema(&self) -> &str {
        &self.store_schema
    }

    pub(crate) fn uri_of_store(&self) -> String {
        format!("{}?schema={}", self.uri, self.store_schema)
    }

    /// Connections of the application, whose tables are those of this run.
    pub(crate) fn pool(&self) -> Result<PgPool> {
        Ok(PgPoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(self.options("ledger desk")?))
    }

    /// One connection, which waits for nobody for long.
    pub(super) async fn connect(&self, name: &str) -> Result<PgConnection> {
        let options = self.options(name)?.options([("lock_timeout", "1min")]);
        Ok(options.connect().await.map_err(|error| format!("--store: {error}"))?)
    }

    pub(crate) async fn remove(self) -> Result<()> {
        let drop = format!("DROP SCHEMA {}, {} CASCADE", self.store_schema, self.books_schema());
        let mut connection = self.connect("ledger supervisor").await?;
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    fn books_schema(&self) -> String {
        format!("{}_books", self.store_schema)
    }

    fn options(&self, name: &str) -> Result<PgConnectOptions> {
        let options: PgConnectOptions = self.uri.parse().map_err(|error| format!("--store: {error}"))?;
        Ok(options.application_name(name).options([("search_path", self.books_schema())]))
    }
}

/// Where to look.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schema {}, and the store's schema {}", self.books_schema(), self.store_schema)
    }
}
