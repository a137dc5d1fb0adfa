//! A session on which scripts and statements are run.

use super::{Parameter, Refusal, Row};

/// A connection of any of the libraries.
pub(crate) trait Executor: Send {
    /// Runs statements that have no parameters and whose rows nobody wants. They neither begin nor end a transaction.
    fn script(&mut self, sql: &str) -> impl Future<Output = Result<(), Refusal>> + Send;

    fn rows(
        &mut self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, Refusal>> + Send;

    /// Begins a transaction, which ends with the session unless it is committed before.
    fn begin(&mut self) -> impl Future<Output = Result<(), Refusal>> + Send {
        self.script("BEGIN")
    }

    fn commit(&mut self) -> impl Future<Output = Result<(), Refusal>> + Send {
        self.script("COMMIT")
    }

    /// The one row of the answer.
    fn row(
        &mut self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Row, Refusal>> + Send {
        async move {
            let row = self.rows(sql, parameters).await?.pop();
            row.ok_or_else(|| Refusal::without_answer("the server gives no row".to_owned()))
        }
    }
}
