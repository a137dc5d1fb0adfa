//! Statements by sqlx. The server prepares them, and sqlx keeps them, as the connection's options say.

use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgDatabaseError};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Error, PgConnection, Postgres};

use super::{Executor, Parameter, Refusal, Row};
use crate::error::chain;

impl Executor for PgConnection {
    async fn script(&mut self, sql: &str) -> Result<(), Refusal> {
        sqlx::raw_sql(safe(sql)).execute(self).await?;
        Ok(())
    }

    async fn rows(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Refusal> {
        rows(bound(sql, parameters), self).await
    }
}

/// The answer to a query that is [`bound`].
pub(crate) async fn rows(
    query: Query<'_, Postgres, PgArguments>,
    connection: &mut PgConnection,
) -> Result<Vec<Row>, Refusal> {
    let rows = query.fetch_all(connection).await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

pub(crate) fn bound<'p>(sql: &str, parameters: &'p [Parameter<'p>]) -> Query<'p, Postgres, PgArguments> {
    let mut query = sqlx::query(safe(sql));
    for parameter in parameters {
        query = match parameter {
            Parameter::Bytes(bytes) => query.bind(*bytes),
            Parameter::Number(number) => query.bind(*number),
            Parameter::Flag(flag) => query.bind(*flag),
            Parameter::Text(text) => query.bind(*text),
            Parameter::ManyBytes(bytes) => query.bind(&bytes[..]),
            Parameter::Numbers(numbers) => query.bind(&numbers[..]),
            Parameter::SomeBytes(bytes) => query.bind(&bytes[..]),
            Parameter::SomeNumbers(numbers) => query.bind(&numbers[..]),
        };
    }
    query
}

/// Nothing of a user is in it: the schema's name was checked.
fn safe(sql: &str) -> AssertSqlSafe<Arc<str>> {
    AssertSqlSafe(Arc::from(sql))
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let Error::Database(refused) = &error else {
            return Self::without_answer(chain(&error));
        };
        let of_postgres = refused.try_downcast_ref::<PgDatabaseError>();
        Self {
            state: refused.code().map(Into::into),
            message: refused.message().to_owned(),
            detail: of_postgres.and_then(|refused| refused.detail().map(str::to_owned)),
            routine: of_postgres.and_then(|refused| refused.routine().map(str::to_owned)),
        }
    }
}
