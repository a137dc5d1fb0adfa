//! Rows of answers.

use std::fmt::Display;

use crate::error::Failure;

/// A row, whichever library it is of.
#[derive(Debug)]
pub struct Row(Library);

#[derive(Debug)]
enum Library {
    TokioPostgres(tokio_postgres::Row),
    #[cfg(feature = "sqlx")]
    Sqlx(sqlx::postgres::PgRow),
}

impl From<tokio_postgres::Row> for Row {
    fn from(row: tokio_postgres::Row) -> Self {
        Self(Library::TokioPostgres(row))
    }
}

#[cfg(feature = "sqlx")]
impl From<sqlx::postgres::PgRow> for Row {
    fn from(row: sqlx::postgres::PgRow) -> Self {
        Self(Library::Sqlx(row))
    }
}

impl Row {
    /// The value of a column, by its name or its place.
    ///
    /// # Errors
    /// There is no such column, or it has another type.
    pub(crate) fn get<'r, T: Value<'r>>(&'r self, column: impl Column) -> Result<T, Failure> {
        match &self.0 {
            Library::TokioPostgres(row) => row.try_get(column).map_err(|error| incompatible(&error)),
            #[cfg(feature = "sqlx")]
            Library::Sqlx(row) => sqlx::Row::try_get(row, column).map_err(|error| incompatible(&error)),
        }
    }
}

fn incompatible(error: &dyn Display) -> Failure {
    Failure::incompatible(format!("the server's row is not what was asked for: {error}"))
}

/// What each of the libraries can read from a row.
#[cfg(not(feature = "sqlx"))]
pub(crate) trait Value<'r>: tokio_postgres::types::FromSql<'r> {}
#[cfg(not(feature = "sqlx"))]
impl<'r, T: tokio_postgres::types::FromSql<'r>> Value<'r> for T {}

/// What each of the libraries can read from a row.
#[cfg(feature = "sqlx")]
pub(crate) trait Value<'r>:
    tokio_postgres::types::FromSql<'r> + sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>
{
}
#[cfg(feature = "sqlx")]
impl<'r, T> Value<'r> for T where
    T: tokio_postgres::types::FromSql<'r> + sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>
{
}

/// The name or the place of a column.
#[cfg(not(feature = "sqlx"))]
pub(crate) trait Column: tokio_postgres::row::RowIndex + Display {}
#[cfg(not(feature = "sqlx"))]
impl<T: tokio_postgres::row::RowIndex + Display> Column for T {}

/// The name or the place of a column.
#[cfg(feature = "sqlx")]
pub(crate) trait Column:
    tokio_postgres::row::RowIndex + Display + sqlx::ColumnIndex<sqlx::postgres::PgRow>
{
}
#[cfg(feature = "sqlx")]
impl<T> Column for T where
    T: tokio_postgres::row::RowIndex + Display + sqlx::ColumnIndex<sqlx::postgres::PgRow>
{
}
