//! Transactions of tokio-postgres.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Transaction};

use super::sealed::{Committing, Running};
use crate::error::chain;
use crate::transaction::refusal::Refusal;
use crate::transaction::statement::{Parameter, Row, Statement};

impl Running for Transaction<'_> {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = statement
            .parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Bytes(bytes) => (bytes as _, Type::BYTEA),
                Parameter::Number(number) => (number as _, Type::INT8),
            })
            .collect();
        Ok(Row::TokioPostgres(self.query_typed_one(statement.sql, &parameters).await?))
    }
}

impl Committing for Transaction<'_> {
    async fn commit(self) -> Result<(), Refusal> {
        Ok(Transaction::commit(self).await?)
    }

    async fn rollback(self) -> Result<(), Refusal> {
        Ok(Transaction::rollback(self).await?)
    }
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
        }
    }
}
