//! Statements by tokio-postgres. Nothing is prepared.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::{Executor, Parameter, Refusal, Row};
use crate::error::{Failure, chain};

impl Parameter<'_> {
    /// The value, and the type that it has on the server.
    pub(crate) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Bytes(bytes) => (bytes, Type::BYTEA),
            Self::Number(number) => (number, Type::INT8),
            Self::Flag(flag) => (flag, Type::BOOL),
            Self::Text(text) => (text, Type::TEXT),
            Self::ManyBytes(bytes) => (bytes, Type::BYTEA_ARRAY),
            Self::Numbers(numbers) => (numbers, Type::INT8_ARRAY),
            Self::SomeBytes(bytes) => (bytes, Type::BYTEA_ARRAY),
            Self::SomeNumbers(numbers) => (numbers, Type::INT8_ARRAY),
        }
    }
}

impl Executor for Client {
    async fn script(&mut self, sql: &str) -> Result<(), Refusal> {
        Ok(self.batch_execute(sql).await?)
    }

    async fn rows(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Refusal> {
        rows(self, sql, parameters).await
    }
}

/// Many may be sent at once.
pub(crate) async fn rows(
    client: &Client,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Refusal> {
    let parameters: Vec<_> = parameters.iter().map(Parameter::typed).collect();
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let Some(refused) = error.as_db_error() else {
            return Self::without_answer(chain(&error));
        };
        Self {
            state: Some(refused.code().code().to_owned()),
            message: refused.message().to_owned(),
            detail: refused.detail().map(str::to_owned),
            routine: refused.routine().map(str::to_owned),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}
