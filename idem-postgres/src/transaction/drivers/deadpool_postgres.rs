//! Transactions of deadpool-postgres.

use deadpool_postgres::Transaction;

use super::sealed::{Committing, Running};
use crate::sql::{Refusal, Row};
use crate::transaction::statement::Statement;

impl Running for Transaction<'_> {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        let transaction: &mut tokio_postgres::Transaction<'_> = self;
        transaction.run(statement).await
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
