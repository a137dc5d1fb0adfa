//! What is particular about pools of sqlx.

use sqlx::{Error, PgConnection, PgPool};

use super::{closed, exhausted};
use crate::connection::login_failure::is_refusal;
use crate::error::{Failure, chain};
use crate::sql::{Parameter, Refusal, Row, of_sqlx};

/// Whether the pool's connections keep what they have prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// `statement_cache_capacity(0)`, as behind a pooler in transaction mode.
    No,
}

impl Kept {
    /// What the pool's options say. No function reads it, and the URL of the options panics for a host that is a bare
    /// address of IPv6.
    pub(super) fn by(pool: &PgPool) -> Self {
        let options = format!("{:?}", pool.connect_options());
        if options.contains("statement_cache_capacity: 0,") { Self::No } else { Self::Yes }
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
        Error::Tls(ref source) if !is_refusal(&**source) => Failure::reconnect(chain(&error)),
        Error::Configuration(_) | Error::Tls(_) => Failure::invalid_config(chain(&error)),
        error => Refusal::from(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;

    #[tokio::test]
    async fn what_a_pool_keeps_is_read_whatever_its_host_is() {
        for host in ["localhost", "::1", "2001:db8::5"] {
            for (capacity, kept) in [(0, Kept::No), (1, Kept::Yes), (100, Kept::Yes)] {
                let options = PgConnectOptions::new().host(host).username("a:b/c");
                let options = options.statement_cache_capacity(capacity);
                let pool = PgPoolOptions::new().connect_lazy_with(options);
                assert_eq!(Kept::by(&pool), kept, "{host}, {capacity}");
            }
        }
    }
}
