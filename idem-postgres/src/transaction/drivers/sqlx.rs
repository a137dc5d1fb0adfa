//! Transactions of sqlx.

use std::sync::Arc;

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, Error, PgConnection, Postgres, Transaction};

use super::sealed::{Committing, Running};
use crate::transaction::refusal::{NO_TRANSACTION, Refusal};
use crate::transaction::statement::{Parameter, Row, Statement};

impl Running for PgConnection {
    async fn run(&mut self, statement: Statement<'_>) -> Result<Row, Refusal> {
        // Each statement would be a transaction of its own.
        if !self.is_in_transaction() {
            let message = "the connection is not in a transaction that its `begin` has begun";
            return Err(Refusal {
                state: Some(NO_TRANSACTION.to_owned()),
                message: message.to_owned(),
                detail: None,
            });
        }
        // Nothing of a user is in it: the schema's name was checked.
        let mut query = sqlx::query(AssertSqlSafe(Arc::<str>::from(statement.sql)));
        for parameter in statement.parameters {
            query = match *parameter {
                Parameter::Bytes(bytes) => query.bind(bytes),
                Parameter::Number(number) => query.bind(number),
            };
        }
        Ok(Row::Sqlx(query.fetch_one(self).await?))
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

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let Error::Database(refused) = &error else {
            return Self::without_answer(error.to_string());
        };
        Self {
            state: refused.code().map(Into::into),
            message: refused.message().to_owned(),
            detail: refused
                .try_downcast_ref::<PgDatabaseError>()
                .and_then(|refused| refused.detail().map(str::to_owned)),
        }
    }
}
