//! Completing a key and committing, as one call.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Lease, LostReason, Outcome, Result, Transacted};
use tokio::time::timeout;

use super::drivers::Commit;
use crate::error::unanswered;
use crate::store::PostgresStore;

impl PostgresStore {
    /// Completes the key of `lease` in a transaction of the application, as [`complete_in`](Self::complete_in), and
    /// commits it.
    ///
    /// # Answers
    /// [`Applied`](Transacted::Applied): the application's writes and the completion are committed. With any other answer
    /// nothing of the transaction is: it was rolled back, since the key had been
    /// [completed before](Transacted::AlreadyCompleted), or the [lease is lost](Transacted::Lost), or because of
    /// [this error](Transacted::RolledBack) of the completion or the commit; then the lease is still held, as far as is
    /// known, unless it was [`lock_in`](Self::lock_in)'s in the same transaction.
    ///
    /// # Limits
    /// The completion, the commit, and each call by which the store finds out how a commit without an answer ended take
    /// [`call_timeout`](crate::PostgresConfig::call_timeout) at most: six times that in all.
    ///
    /// # Standbys
    /// With [`acks`](crate::PostgresConfig::acks) the store writes once more behind the commit, and answers `Applied`, or
    /// `AlreadyCompleted`, only when as many standbys have that, and so the commit too, whatever the transaction's own
    /// `synchronous_commit` is. That takes another round trip. Where a completion that is found there cannot be confirmed in
    /// time, the answer is `RolledBack` with [`Timeout`](ErrorKind::Timeout): the key may be completed all the same.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) and [`Unavailable`](ErrorKind::Unavailable): the commit has no answer, the store
    /// was asked, and it is still unknown whether the transaction is committed; or, with `acks`, it is unknown whether the
    /// standbys have it. Never run the work again then: ask again with the same key.
    ///
    /// # Cancel safety
    /// Dropped before the commit was sent, the transaction is rolled back; later, it is committed or rolled back.
    ///
    /// # Example
    /// ```
    /// use idem_core::{Error, Lease, Outcome, Transacted};
    /// use idem_postgres::PostgresStore;
    /// use tokio_postgres::Client;
    ///
    /// type Failure = Box<dyn std::error::Error>;
    ///
    /// async fn pay(store: &PostgresStore, client: &mut Client, lease: &Lease) -> Result<Transacted<Error>, Failure> {
    ///     let transaction = client.transaction().await?;
    ///     transaction.execute("INSERT INTO payments (cents) VALUES (1250)", &[]).await?;
    ///     let paid = Outcome::Value("paid".into());
    ///     Ok(store.complete_and_commit(transaction, lease, paid).await?)
    /// }
    /// ```
    pub async fn complete_and_commit<T: Commit>(
        &self,
        mut transaction: T,
        lease: &Lease,
        outcome: Outcome,
    ) -> Result<Transacted<Error>> {
        let completion = match self.run_completion(&mut transaction, lease, outcome).await {
            Ok((completion, false)) => completion,
            Ok((_, true)) => {
                self.roll_back(transaction).await;
                let message = "the transaction is a savepoint in another one, whose commit would not be final; or a savepoint was \
                               rolled back in it and not released: then release it, or use `complete_in` and commit";
                let error = Error::new(ErrorKind::InvalidArgument, Operation::Complete, message);
                return Ok(Transacted::RolledBack(error));
            }
            Err(not_completed) => {
                self.roll_back(transaction).await;
                return Ok(not_completed.into());
            }
        };
        let limit = self.config().call_timeout;
        let (failed, refused) = match timeout(limit, transaction.commit()).await {
            // The library does not say whether the server has waited for its standbys.
            Ok(Ok(())) if self.config().acks > 0 => {
                return completion.confirm().await.map(|()| Transacted::Applied);
            }
            Ok(Ok(())) => {
                completion.committed();
                return Ok(Transacted::Applied);
            }
            Ok(Err(refusal)) => (refusal.error(Operation::Complete), refusal.state.is_some()),
            Err(_) => (unanswered(Operation::Complete, limit, ""), false),
        };
        Ok(match completion.find_out().await? {
            // The lock was the transaction's own, and why the server refused the commit tells more.
            Transacted::Lost(LostReason::Gone) if refused => Transacted::RolledBack(failed),
            found => found.map_rolled_back(|()| failed),
        })
    }

    /// At once: dropped, a transaction of sqlx is open until its connection is used again.
    async fn roll_back<T: Commit>(&self, transaction: T) {
        let rolled_back = timeout(self.config().call_timeout, transaction.rollback()).await;
        tracing::debug!(?rolled_back, "a transaction is rolled back");
    }
}
