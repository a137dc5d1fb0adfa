//! What is sent by a transaction of the application, whichever library it is of.

use crate::batch::Cells;
use crate::error::Failure;

/// A statement that is answered by one row.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'s> {
    pub(super) sql: &'s str,
    pub(super) parameters: &'s [Parameter<'s>],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Parameter<'s> {
    Bytes(&'s [u8]),
    Number(i64),
}

/// The row, as the library has it.
#[derive(Debug)]
pub enum Row {
    TokioPostgres(tokio_postgres::Row),
    #[cfg(feature = "sqlx")]
    Sqlx(sqlx::postgres::PgRow),
}

impl Row {
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self {
            Self::TokioPostgres(row) => Ok(row.try_get(name)?),
            #[cfg(feature = "sqlx")]
            Self::Sqlx(row) => sqlx::Row::try_get(row, name).map_err(|error| odd(&error)),
        }
    }
}

impl Cells for Row {
    fn answer(&self) -> Result<i16, Failure> {
        match self {
            Self::TokioPostgres(row) => row.answer(),
            #[cfg(feature = "sqlx")]
            Self::Sqlx(row) => sqlx::Row::try_get(row, "answer").map_err(|error| odd(&error)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self {
            Self::TokioPostgres(row) => row.number(name),
            #[cfg(feature = "sqlx")]
            Self::Sqlx(row) => sqlx::Row::try_get(row, name).map_err(|error| odd(&error)),
        }
    }

    fn bytes(&self, name: &str) -> Result<&[u8], Failure> {
        match self {
            Self::TokioPostgres(row) => row.bytes(name),
            #[cfg(feature = "sqlx")]
            Self::Sqlx(row) => sqlx::Row::try_get(row, name).map_err(|error| odd(&error)),
        }
    }
}

#[cfg(feature = "sqlx")]
fn odd(error: &sqlx::Error) -> Failure {
    Failure::odd(format!("the server's row is not what was asked for: {error}"))
}
