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

/// Removes records, by operators' calls and by the sweeper's. That may take long, so it has a connection of its own.
#[derive(Debug)]
pub(super) struct Remover {
    link: Arc<Link>,
    schema: String,
    call_timeout: Duration,
    /// That of the store, on which the connection has to be opened, whoever removes first.
    runtime: Handle,
}

impl Remover {
    /// Must be called on the runtime of the store.
    pub(super) fn new(link: Arc<Link>, schema: &str, call_timeout: Duration) -> Self {
        Self { link, schema: schema.to_owned(), call_timeout, runtime: Handle::current() }
    }

    /// Removes expired records by the function `expire`, or `sweep`, which leaves it to another process that is at it.
    pub(super) async fn remove_expired(self: &Arc<Self>, function: &str, budget: usize) -> Result<Expired> {
        let statement = format!("SELECT * FROM {}.{function}($1)", self.schema);
        let budget = i64::try_from(budget).unwrap_or(i64::MAX);
        let this = Arc::clone(self);
        let asked =
            async move { this.ask(&statement, &[Parameter::Number(budget)], Operation::Expire).await };
        let row = self.on_runtime(Operation::Expire, asked).await?;
        let expired = || {
            let removed: i64 = row.get("removed")?;
            Ok(Expired { removed: usize::try_from(removed).unwrap_or(0), more: row.get("more")? })
        };
        expired().map_err(|failure: Failure| failure.error(Operation::Expire))
    }

    pub(super) async fn remove(self: &Arc<Self>, key: &Key, force: bool) -> Result<bool> {
        let statement = format!("SELECT {}.remove($1, $2)", self.schema);
        let (this, key) = (Arc::clone(self), *key);
        let asked = async move {
            let parameters = [Parameter::Bytes(key.storage_key()), Parameter::Flag(force)];
            this.ask(&statement, &parameters, Operation::Remove).await
        };
        let row = self.on_runtime(Operation::Remove, asked).await?;
        row.get(0).map_err(|failure| failure.error(Operation::Remove))
    }

    /// Goes on when its caller is gone, or does not poll it any more: others wait for the connection.
    async fn on_runtime(
        &self,
        operation: Operation,
        asked: impl Future<Output = Result<Row>> + Send + 'static,
    ) -> Result<Row> {
        let limit = self.call_timeout;
        // By the caller's timer: nobody may drive the other runtime at this moment.
        match timeout(limit, self.runtime.spawn(asked)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Err(_)) => Err(runtime_ended(operation)),
            Err(_) => Err(unanswered(operation, limit, "")),
        }
    }

    /// Sends one statement, once: who asks sends it again.
    async fn ask(&self, statement: &str, parameters: &[Parameter<'_>], operation: Operation) -> Result<Row> {
        let limit = self.call_timeout;
        let (deadline, late) = (Instant::now() + limit, |_| unanswered(operation, limit, ""));
        let connection = timeout_at(deadline, self.link.connection()).await.map_err(late)?;
        let connection = connection.map_err(|failure| failure.error(operation))?;
        let sent = async {
            let row = connection.rows(statement, parameters).await?.pop();
            row.ok_or_else(|| Failure::incompatible("the server gives no answer"))
        };
        let answer = timeout_at(deadline, connection.confirmed(true, sent)).await;
        if matches!(answer, Err(_) | Ok(Err(Failure { recovery: Recovery::Reconnect, .. }))) {
            self.link.discard(&connection).await;
        }
        answer.map_err(late)?.map_err(|failure| failure.error(operation))
    }
}
