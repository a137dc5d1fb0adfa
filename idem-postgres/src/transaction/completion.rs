//! Completing a key in a transaction.

use idem_core::backend::Call;
use idem_core::backend::limits::MIN_DURATION;
use idem_core::error::Operation;
use idem_core::{Effect, Error, ErrorKind, Lease, LostReason, Outcome, Result};
use tokio::time::timeout;

use super::completion_sql::CompletionSql;
use super::drivers::Transaction;
use super::not_completed::NotCompleted;
use super::provisional::Provisional;
use super::statement::Statement;
use crate::batch::outcome_body;
use crate::error::unanswered;
use crate::schema::quoted;
use crate::store::PostgresStore;

impl PostgresStore {
    /// Completes the key of `lease` in a transaction of the application: its own rows and the completion are committed
    /// together, or neither. This is the one case in which *exactly once* is exact.
    ///
    /// The transaction is one on the store's database; see [`Transaction`] for the libraries. The outcome is kept for the
    /// retention of the lease's claim, counted from this call. Call it last, since the record's row is locked from here on
    /// until the transaction ends. [`complete_and_commit`](Self::complete_and_commit) also commits.
    ///
    /// # Contract
    /// Nothing is completed until the transaction is committed; see [`Provisional`]. A lease that is lost makes the
    /// server fail the transaction, so that nothing of it can be committed, whatever the application does about the
    /// error. Only what it wrote before a savepoint to which it rolls back is left to it.
    ///
    /// A commit is as durable as the transaction makes it: with `synchronous_commit = off` a crash of the server may lose
    /// both the rows and the completion, and the work may run again. [`acks`](crate::PostgresConfig::acks) asks nothing of a
    /// commit of the application's own: what its server and its transaction say about standbys is what holds.
    ///
    /// Not for a transaction of two phases: where somebody waits for the key it notifies, and then the server refuses to
    /// `PREPARE` it.
    ///
    /// # Isolation
    /// Any. In READ COMMITTED, the default, every answer is the truth. In REPEATABLE READ and SERIALIZABLE a lease that is
    /// renewed after the transaction's first statement makes the completion fail
    /// ([`Unavailable`](idem_core::ErrorKind::Unavailable): a serialization failure), and one that was locked after it is
    /// not seen ([`InvalidArgument`](idem_core::ErrorKind::InvalidArgument)): run the transaction again.
    ///
    /// # Errors
    /// [`NotCompleted`]: nothing is completed, and the transaction must be rolled back. Among what
    /// [`Failed`](NotCompleted::Failed) holds are [`InvalidConfig`](ErrorKind::InvalidConfig) on another database or without
    /// the rights, [`InvalidArgument`](ErrorKind::InvalidArgument) outside a transaction or in one that has failed or only
    /// reads, and [`TooLarge`](ErrorKind::TooLarge). Where another transaction holds a lock on the record's row, it is waited
    /// for, for 2 s ([`Unavailable`](ErrorKind::Unavailable)); and any answer for `call_timeout`
    /// ([`Timeout`](ErrorKind::Timeout)). It takes twice that at most where the key is found completed, or no record of it is
    /// found, since the store is asked then.
    ///
    /// # Cancel safety
    /// As safe as the library's own calls. Roll the transaction back.
    ///
    /// # Example
    /// ```
    /// use idem_core::{Lease, Outcome};
    /// use idem_postgres::{NotCompleted, PostgresStore};
    /// use tokio_postgres::Client;
    ///
    /// async fn pay(store: &PostgresStore, client: &mut Client, lease: &Lease) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut transaction = client.transaction().await?;
    ///     transaction.execute("INSERT INTO payments (cents) VALUES (1250)", &[]).await?;
    ///     let paid = Outcome::Value("paid".into());
    ///     let completion = store.complete_in(&mut transaction, lease, paid).await?;
    ///     transaction.commit().await?;
    ///     completion.committed();
    ///     Ok(())
    /// }
    /// ```
    pub async fn complete_in<T: Transaction>(
        &self,
        transaction: &mut T,
        lease: &Lease,
        outcome: Outcome,
    ) -> Result<Provisional, NotCompleted> {
        self.run_completion(transaction, lease, outcome).await.map(|(provisional, _)| provisional)
    }

    /// Also says whether the transaction is a savepoint in another one.
    pub(super) async fn run_completion<T: Transaction>(
        &self,
        transaction: &mut T,
        lease: &Lease,
        outcome: Outcome,
    ) -> Result<(Provisional, bool), NotCompleted> {
        let completion = self.completion_sql(lease, outcome).map_err(NotCompleted::Failed)?;
        let parameters = completion.parameters();
        let statement = Statement { sql: completion.sql(), parameters: &parameters };
        let limit = self.config().call_timeout;
        let row = match timeout(limit, transaction.run(statement)).await {
            Err(_) => return Err(NotCompleted::Failed(unanswered(Operation::Complete, limit, ""))),
            Ok(Err(refusal)) if refusal.lost() == Some(LostReason::Gone) && self.holds(lease).await => {
                let message = "the store holds the lease, and the transaction's database has no record of it: is it the \
                               store's database?";
                let error = Error::new(ErrorKind::InvalidConfig, Operation::Complete, message);
                return Err(NotCompleted::Failed(error));
            }
            // The server waits for no standby to say so.
            Ok(Err(refusal)) if refusal.lost() == Some(LostReason::Completed) => {
                let confirmed = completion.executed().confirm().await;
                return Err(confirmed.map_or_else(NotCompleted::Failed, |()| NotCompleted::AlreadyCompleted));
            }
            Ok(Err(refusal)) => return Err(completion.refused_by(&refusal)),
            Ok(Ok(row)) => row,
        };
        let nested = row.get("nested");
        let nested = nested.map_err(|failure| NotCompleted::Failed(failure.error(Operation::Complete)))?;
        Ok((completion.executed(), nested))
    }

    /// Whether the store still holds the lease. It asks by a renewal, which is a call like any other.
    async fn holds(&self, lease: &Lease) -> bool {
        matches!(self.renew_silently(lease, MIN_DURATION).await, Ok(Effect::Applied))
    }

    /// [`complete_in`](Self::complete_in) as SQL and its parameters, for an application whose transaction is of a library
    /// that is not one of [`Transaction`]'s. [`CompletionSql`] shows how to send it.
    ///
    /// # Errors
    /// [`TooLarge`](idem_core::ErrorKind::TooLarge) for an outcome above
    /// [`max_outcome`](crate::PostgresConfig::max_outcome).
    pub fn completion_sql(&self, lease: &Lease, outcome: Outcome) -> Result<CompletionSql> {
        let retention = lease.retention();
        let sent =
            self.checked(&Call::Complete { token: lease.token(), outcome: outcome.clone(), retention })?;
        let clock = self.clock();
        let body = outcome_body(lease.key(), *lease.fingerprint(), outcome)?;
        let provisional = Provisional {
            store: self.clone(),
            lease: lease.clone(),
            sent,
            begun: (clock.monotonic(), clock.wall()),
        };
        Ok(CompletionSql::new(provisional, &quoted(&self.config().schema), body))
    }
}
