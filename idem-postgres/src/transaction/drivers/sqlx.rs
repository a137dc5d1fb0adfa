//! Transactions of sqlx.

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use super::sealed::{Committing, Running};
use crate::sql::{Refusal, Row, of_sqlx};
use crate::transaction::refusal::NO_TRANSACTION;
use crate::transaction::statement::Statement;

impl Running for PgConnection {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        // Each statement would be a transaction of its own.
        if !self.is_in_transaction() {
            let message = "the connection is not in a transaction that its `begin` has begun";
            return Err(Refusal {
                state: Some(NO_TRANSACTION.to_owned()),
                message: message.to_owned(),
                detail: None,
                routine: None,
            });
        }
        // sqlx names what it prepares also where it is to keep nothing, and then never forgets it: behind a pooler, in a
        // session that another client gets next. A connection that has kept something keeps this, too.
        let keeps = self.cached_statements_size() > 0;
        let query = of_sqlx::bound(statement.sql, statement.parameters).persistent(keeps);
        let answer = query.fetch_one(&mut *self).await.map_err(Refusal::from);
        if answer.as_ref().is_err_and(Refusal::is_outdated) {
            // Among those of the application, which are prepared again when they are used next. What is the matter is said
            // already.
            let _ = self.clear_cached_statements().await;
        }
        Ok(Row::from(answer?))
    }
}

impl Running for Transaction<'_, Postgres> {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        let connection: &mut PgConnection = self;
        connection.run(statement).await
    }
}

impl Committing for Transaction<'_, Postgres> {
    async fn commit(self) -> Result<(), Refusal> {
        Ok(Transaction::commit(self).await?)
    }

    async fn rollback(self) -> Result<(), Refusal> {
        Ok(Transaction::rollback(self).await?)
    }
}
