//! A completion as SQL.

use std::fmt;

use idem_core::error::Operation;
use idem_core::{Effect, LostReason, Owner};

use super::not_completed::NotCompleted;
use super::provisional::Provisional;
use super::refusal::lost_reason;
use crate::batch::{micros, stored_sequence};
use crate::sql::{Parameter, Refusal};

/// A completion as one statement with six parameters, for a transaction of any library.
///
/// Send it in the transaction, then call [`executed`](Self::executed), or [`refused`](Self::refused) with what the
/// server's error says. A lost lease fails the transaction here too. Unlike
/// [`complete_in`](crate::PostgresStore::complete_in) it has no time limit, and does not check that the transaction's
/// database is the store's: on another database with such a schema the lease counts as gone.
///
/// ```
/// use diesel::result::Error;
/// use diesel::sql_types::{BigInt, Binary};
/// use diesel::{QueryResult, sql_query};
/// use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
/// use idem_core::{Lease, Outcome, Transacted};
/// use idem_postgres::{CompletionSql, PostgresStore};
///
/// type Failure = Box<dyn std::error::Error + Send + Sync>;
///
/// async fn pay(
///     store: &PostgresStore,
///     connection: &mut AsyncPgConnection,
///     lease: &Lease,
///     outcome: Outcome,
/// ) -> idem_core::Result<Transacted<Failure>> {
///     let completion = store.completion_sql(lease, outcome)?;
///     let work = async |connection: &mut AsyncPgConnection| {
///         sql_query("INSERT INTO payments (cents) VALUES (1250)").execute(connection).await?;
///         complete(connection, &completion).await
///     };
///     let error = match connection.transaction(work).await {
///         Ok(_) => {
///             completion.executed().committed();
///             return Ok(Transacted::Applied);
///         }
///         Err(error) => error,
///     };
///     if let Error::DatabaseError(_, told) = &error
///         && let Some(not_completed) = told.details().and_then(|details| completion.refused(details))
///     {
///         return Ok(not_completed.into());
///     }
///     // Of anything else, a commit without an answer among them, the store knows what has become.
///     Ok(completion.executed().find_out().await?.map_rolled_back(|()| error.into()))
/// }
///
/// async fn complete(connection: &mut AsyncPgConnection, completion: &CompletionSql) -> QueryResult<usize> {
///     sql_query(completion.sql())
///         .bind::<Binary, _>(completion.key())
///         .bind::<Binary, _>(completion.fingerprint())
///         .bind::<BigInt, _>(completion.sequence())
///         .bind::<Binary, _>(completion.owner())
///         .bind::<BigInt, _>(completion.retention())
///         .bind::<Binary, _>(completion.body())
///         .execute(connection)
///         .await
/// }
/// ```
pub struct CompletionSql {
    provisional: Provisional,
    sql: String,
    owner: Owner,
    sequence: i64,
    retention: i64,
    body: Vec<u8>,
}

impl CompletionSql {
    pub(super) fn new(provisional: Provisional, schema: &str, body: Vec<u8>) -> Self {
        let token = provisional.lease.token();
        Self {
            sql: format!("SELECT {schema}.complete_one($1, $2, $3, $4, $5, $6, true) = 7 AS nested"),
            owner: token.owner,
            sequence: stored_sequence(token.sequence),
            retention: micros(provisional.lease.retention()),
            body,
            provisional,
        }
    }

    /// The statement. It is the same for all completions of a store. Its answer is one row, to be ignored.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// `$1`, a `bytea`: the key as it is stored.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.provisional.lease.key().storage_key()
    }

    /// `$2`, a `bytea`: the request's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8] {
        self.provisional.lease.fingerprint().as_bytes()
    }

    /// `$3`, a `bigint`: the sequence of the lease's token.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// `$4`, a `bytea`: the owner of the lease's token.
    #[must_use]
    pub fn owner(&self) -> &[u8] {
        self.owner.as_bytes()
    }

    /// `$5`, a `bigint`: the retention in microseconds.
    #[must_use]
    pub fn retention(&self) -> i64 {
        self.retention
    }

    /// `$6`, a `bytea`: the outcome, encoded, with its checksum.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Call it once the server has carried the statement out, or may have. The key is completed only with the commit.
    pub fn executed(self) -> Provisional {
        self.provisional
    }

    /// The server answered with an error: what its `DETAIL` says about the lease. `None` when the error is about
    /// something else.
    ///
    /// Unlike [`complete_in`](crate::PostgresStore::complete_in) this does not ask whether the standbys have a completion that
    /// is found there.
    ///
    /// diesel has it as `DatabaseErrorInformation::details`.
    #[must_use]
    pub fn refused(&self, detail: &str) -> Option<NotCompleted> {
        lost_reason(detail).map(|reason| self.lost(reason))
    }

    pub(super) fn refused_by(&self, refusal: &Refusal) -> NotCompleted {
        match refusal.lost() {
            Some(reason) => self.lost(reason),
            None => NotCompleted::Failed(refusal.error(Operation::Complete)),
        }
    }

    fn lost(&self, reason: LostReason) -> NotCompleted {
        if reason == LostReason::Completed {
            self.provisional.answered(Effect::Applied, false);
            NotCompleted::AlreadyCompleted
        } else {
            self.provisional.answered(Effect::Lost(reason), false);
            NotCompleted::Lost(reason)
        }
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 6] {
        [
            Parameter::Bytes(self.key()),
            Parameter::Bytes(self.fingerprint()),
            Parameter::Number(self.sequence()),
            Parameter::Bytes(self.owner()),
            Parameter::Number(self.retention()),
            Parameter::Bytes(self.body()),
        ]
    }
}

/// Without the outcome, which is the customer's.
impl fmt::Debug for CompletionSql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionSql")
            .field("sql", &self.sql)
            .field("lease", &self.provisional.lease)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
