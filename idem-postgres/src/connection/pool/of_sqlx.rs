//! What is particular about pools of sqlx.

use idem_core::ErrorKind;
use sqlx::{ConnectOptions as _, Error, PgConnection, PgPool};

use super::{closed, exhausted};
use crate::error::{Failure, Recovery, chain};
use crate::sql::{Parameter, Refusal, Row, of_sqlx};

/// Whether the pool's connections keep what they have prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// `statement_cache_capacity(0)`, as behind a pooler in transaction mode.
    No,
}

impl Kept {
    /// What the pool's options say. The URL is the one public way to read it.
    pub(super) fn by(pool: &PgPool) -> Self {
        let url = pool.connect_options().to_url_lossy();
        let is_none = |(name, value): (_, _)| name == "statement-cache-capacity" && value == "0";
        if url.query_pairs().any(is_none) { Self::No } else { Self::Yes }
    }
}

/// The answer to a statement in a transaction, of which nothing is left in the session.
///
/// sqlx prepares and executes by two messages, and names what it was not told to forget, also where it keeps nothing. Only
/// in a transaction are both sure to reach the same session, and with it the same statement.
pub(super) async fn rows_kept_not(
    connection: &mut PgConnection,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Refusal> {
    of_sqlx::rows(of_sqlx::bound(sql, parameters).persistent(false), connection).await
}

pub(super) fn not_borrowed(error: Error) -> Failure {
    match error {
        Error::PoolClosed => closed(),
        Error::PoolTimedOut => exhausted("within its own limit"),
        Error::Configuration(_) | Error::Tls(_) => {
            Failure { recovery: Recovery::Refuse(ErrorKind::InvalidConfig), message: chain(&error) }
        }
        error => Refusal::from(error).into(),
    }
}
