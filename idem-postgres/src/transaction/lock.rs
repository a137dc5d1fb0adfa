//! Locking a key in a transaction.

use idem_core::backend::Call;
use idem_core::error::Operation;
use idem_core::{Claim, Fingerprint, Key, LockAnswer, Result};
use tokio::time::timeout;

use super::drivers::Transaction;
use super::statement::Statement;
use crate::batch::{Found, Lock, micros};
use crate::error::unanswered;
use crate::schema::quoted;
use crate::sql::Parameter;
use crate::store::PostgresStore;

impl PostgresStore {
    /// Locks a key in a transaction of the application, for work that is done in that transaction as a whole: when it is
    /// rolled back, or its process dies, nothing of the key remains, and a retry runs the work at once.
    ///
    /// The answers are those of [`lock`](idem_core::Store::lock). After [`Acquired`](LockAnswer::Acquired) do the work in
    /// the same transaction, and end with [`complete_and_commit`](Self::complete_and_commit). After any other answer roll
    /// back.
    ///
    /// # Contract
    /// Until the transaction ends nobody else sees that the key is locked, and nobody else gets it: whoever locks it
    /// meanwhile waits. `lock` ends in `Timeout` after `call_timeout`, `lock_in` in `Unavailable` after 2 s. The lease is as
    /// provisional as all that the transaction writes: a call on it by the store itself, such as a renewal, does not see it
    /// before the commit, answers `Lost`, and tells the lease so. So is the token: hand it to another system only once the
    /// transaction is committed, since a server that crashes before may give it out again. So keep such transactions short;
    /// work that takes longer than a moment is better begun with `lock`.
    ///
    /// A lease that [`lock`](idem_core::Store::lock) has given to the same owner is acquired once more, and is then as locked:
    /// a renewal or a release of it by the store waits for the end of the transaction.
    ///
    /// # Errors
    /// Those of [`lock`](idem_core::Store::lock), and
    /// [`Unavailable`](idem_core::ErrorKind::Unavailable) when another transaction holds the key for longer than 2 s, or
    /// under REPEATABLE READ has changed it after this one began; [`Timeout`](idem_core::ErrorKind::Timeout) after
    /// `call_timeout` in all. The transaction must be rolled back.
    ///
    /// # Cancel safety
    /// As safe as the library's own calls. Roll the transaction back.
    ///
    /// # Example
    /// ```
    /// use idem_core::{Claim, Fingerprint, Key, LockAnswer, Outcome, Transacted};
    /// use idem_postgres::PostgresStore;
    /// use tokio_postgres::Client;
    ///
    /// type Failure = Box<dyn std::error::Error>;
    ///
    /// async fn pay(
    ///     store: &PostgresStore,
    ///     client: &mut Client,
    ///     key: &Key,
    ///     request: &Fingerprint,
    ///     claim: &Claim,
    /// ) -> Result<Outcome, Failure> {
    ///     let mut transaction = client.transaction().await?;
    ///     let lease = match store.lock_in(&mut transaction, key, request, claim).await? {
    ///         LockAnswer::Acquired(lease) => lease,
    ///         // Dropped, the transaction is rolled back.
    ///         LockAnswer::Completed(replay) => return Ok(replay.outcome),
    ///         other => return Err(format!("not now: {other:?}").into()),
    ///     };
    ///     transaction.execute("INSERT INTO payments (cents) VALUES (1250)", &[]).await?;
    ///     let paid = Outcome::Value("paid".into());
    ///     match store.complete_and_commit(transaction, &lease, paid.clone()).await? {
    ///         Transacted::Applied => Ok(paid),
    ///         other => Err(format!("not paid: {other:?}").into()),
    ///     }
    /// }
    /// ```
    pub async fn lock_in<T: Transaction>(
        &self,
        transaction: &mut T,
        key: &Key,
        fingerprint: &Fingerprint,
        claim: &Claim,
    ) -> Result<LockAnswer> {
        let call = Call::Lock { fingerprint: *fingerprint, claim: *claim, min_sequence: 0 };
        let sent = self.checked(&call)?;
        let lock = Lock::new(*key, *fingerprint, *claim)?;
        let sql = format!("SELECT * FROM {}.lock_in($1, $2, $3, $4, $5, $6)", quoted(&self.config().schema));
        let parameters = [
            Parameter::Bytes(key.storage_key()),
            Parameter::Bytes(fingerprint.as_bytes()),
            Parameter::Bytes(claim.owner.as_bytes()),
            Parameter::Number(micros(claim.lease)),
            Parameter::Number(micros(claim.retention)),
            Parameter::Bytes(&lock.body),
        ];
        let limit = self.config().call_timeout;
        let asked = transaction.run(Statement { sql: &sql, parameters: &parameters });
        let row = match timeout(limit, asked).await {
            Err(_) => return Err(unanswered(Operation::Lock, limit, "")),
            Ok(row) => row.map_err(|refusal| refusal.error(Operation::Lock))?,
        };
        let found = Found::read(key, &row).map_err(|failure| failure.error(Operation::Lock))??;
        found.answer(*fingerprint, *claim)?.into_lock_answer(*key, *fingerprint, claim, &sent)
    }
}
