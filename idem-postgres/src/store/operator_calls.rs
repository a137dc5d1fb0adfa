//! Statements that are not sent in batches.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Expired, Key, Result};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::Link;
use crate::error::{Failure, Recovery, runtime_ended, unanswered};
use crate::sql::{Parameter, Row};

/// The calls of operators and of the sweeper. They may take long, so they have a connection of their own.
#[derive(Debug)]
pub(super) struct OperatorCalls {
    link: Arc<Link>,
    schema: String,
    call_timeout: Duration,
    /// That of the store, on which the connection has to be opened, whoever calls first.
    runtime: Handle,
}

impl OperatorCalls {
    /// Must be called on the runtime of the store.
    pub(super) fn new(link: Arc<Link>, schema: &str, call_timeout: Duration) -> Self {
        Self { link, schema: schema.to_owned(), call_timeout, runtime: Handle::current() }
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Removes expired records by the function `expire`, or `sweep`, which leaves it to another process that is at it.
    pub(super) async fn remove_expired(self: &Arc<Self>, function: &str, budget: usize) -> Result<Expired> {
        let statement = format!("SELECT * FROM {}.{function}($1)", self.schema);
        let row = self.row(Operation::Expire, statement, vec![OwnedParameter::Number(budget)]).await?;
        let expired = || {
            let removed: i64 = row.get("removed")?;
            Ok(Expired { removed: usize::try_from(removed).unwrap_or(0), more: row.get("more")? })
        };
        expired().map_err(|failure: Failure| failure.error(Operation::Expire))
    }

    pub(super) async fn remove(self: &Arc<Self>, key: &Key, force: bool) -> Result<bool> {
        let statement = format!("SELECT {}.remove($1, $2)", self.schema);
        let parameters = vec![OwnedParameter::Bytes(key.storage_key().to_vec()), OwnedParameter::Flag(force)];
        let row = self.row(Operation::Remove, statement, parameters).await?;
        row.get(0).map_err(|failure| failure.error(Operation::Remove))
    }

    /// The rows of one statement. It goes on when its caller is gone, or does not poll it any more: others wait for the
    /// connection.
    pub(super) async fn rows(
        self: &Arc<Self>,
        operation: Operation,
        statement: String,
        parameters: Vec<OwnedParameter>,
        writes: bool,
    ) -> Result<Vec<Row>> {
        let (limit, this) = (self.call_timeout, Arc::clone(self));
        let asked = async move {
            let parameters: Vec<_> = parameters.iter().map(OwnedParameter::parameter).collect();
            this.ask(&statement, &parameters, writes, operation).await
        };
        // By the caller's timer: nobody may drive the other runtime at this moment.
        match timeout(limit, self.runtime.spawn(asked)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Err(_)) => Err(runtime_ended(operation)),
            Err(_) => Err(unanswered(operation, limit, "")),
        }
    }

    /// The one row of a statement that writes.
    pub(super) async fn row(
        self: &Arc<Self>,
        operation: Operation,
        statement: String,
        parameters: Vec<OwnedParameter>,
    ) -> Result<Row> {
        let row = self.rows(operation, statement, parameters, true).await?.pop();
        row.ok_or_else(|| Failure::incompatible("the server gives no answer").error(operation))
    }

    /// Sends one statement, once: who asks sends it again.
    async fn ask(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
        writes: bool,
        operation: Operation,
    ) -> Result<Vec<Row>> {
        let limit = self.call_timeout;
        let (deadline, late) = (Instant::now() + limit, |_| unanswered(operation, limit, ""));
        let connection = timeout_at(deadline, self.link.connection()).await.map_err(late)?;
        let connection = connection.map_err(|failure| failure.error(operation))?;
        let sent = connection.rows(statement, parameters);
        let answer = timeout_at(deadline, connection.confirmed(writes, sent)).await;
        if matches!(answer, Err(_) | Ok(Err(Failure { recovery: Recovery::Reconnect, .. }))) {
            self.link.discard(&connection).await;
        }
        answer.map_err(late)?.map_err(|failure| failure.error(operation))
    }
}

/// A parameter that outlives its caller.
#[derive(Debug)]
pub(super) enum OwnedParameter {
    Bytes(Vec<u8>),
    Number(usize),
    Flag(bool),
}

impl OwnedParameter {
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Bytes(bytes) => Parameter::Bytes(bytes),
            Self::Number(number) => Parameter::Number(i64::try_from(*number).unwrap_or(i64::MAX)),
            Self::Flag(flag) => Parameter::Flag(*flag),
        }
    }
}
