//! Transactions of tokio-postgres.

use tokio_postgres::Transaction;

use super::sealed::{Committing, Running};
use crate::sql::{Parameter, Refusal, Row};
use crate::transaction::statement::Statement;

impl Running for Transaction<'_> {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        let parameters: Vec<_> = statement.parameters.iter().map(Parameter::typed).collect();
        Ok(Row::from(self.query_typed_one(statement.sql, &parameters).await?))
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
