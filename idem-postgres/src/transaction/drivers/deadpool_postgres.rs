//! Transactions of deadpool-postgres.

use deadpool_postgres::Transaction;

use super::sealed::{Committing, Running};
use crate::sql::{Parameter, Refusal, Row};
use crate::transaction::statement::Statement;

impl Running for Transaction<'_> {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        // Behind a pooler what one session has prepared is not there in the next. An application that has prepared something
        // on this connection by itself relies on its session, and so may this.
        if self.statement_cache.size() == 0 {
            let transaction: &mut tokio_postgres::Transaction<'_> = self;
            return transaction.run(statement).await;
        }
        let (values, types): (Vec<_>, Vec<_>) = statement.parameters.iter().map(Parameter::typed).unzip();
        let prepared = self.prepare_typed_cached(statement.sql, &types).await?;
        let answer = self.query_one(&prepared, &values).await.map_err(Refusal::from);
        if answer.as_ref().is_err_and(Refusal::is_outdated) {
            self.statement_cache.remove(statement.sql, &types);
        }
        Ok(Row::from(answer?))
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
