//! Connections of a pool that the application has.

mod given_up;
mod lent;
mod link;
#[cfg(feature = "sqlx")]
mod of_sqlx;

use std::fmt;
use std::time::Duration;

use idem_core::ErrorKind;
use tokio::time::timeout;

use self::given_up::StatementTag;
use self::lent::Lent;
pub(crate) use self::link::{Connection, Link};
use crate::error::{Failure, Recovery};

/// A pool of the application, for [`PostgresStore::with_pool`](crate::PostgresStore::with_pool).
///
/// Made of a `deadpool_postgres::Pool` (feature `deadpool-postgres`) or a `sqlx::PgPool` (feature `sqlx`), which the
/// application goes on to use: clones of either are the same pool.
#[derive(Clone)]
pub struct Pool(Library);

#[derive(Clone)]
enum Library {
    #[cfg(feature = "deadpool-postgres")]
    Deadpool(deadpool_postgres::Pool),
    #[cfg(feature = "sqlx")]
    Sqlx(sqlx::PgPool),
}

#[cfg(feature = "deadpool-postgres")]
impl From<deadpool_postgres::Pool> for Pool {
    fn from(pool: deadpool_postgres::Pool) -> Self {
        Self(Library::Deadpool(pool))
    }
}

#[cfg(feature = "sqlx")]
impl From<sqlx::PgPool> for Pool {
    fn from(pool: sqlx::PgPool) -> Self {
        Self(Library::Sqlx(pool))
    }
}

/// Not how it connects, which may have a password in it.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(feature = "deadpool-postgres")]
            Library::Deadpool(_) => "Pool(deadpool-postgres)",
            #[cfg(feature = "sqlx")]
            Library::Sqlx(_) => "Pool(sqlx)",
        })
    }
}

/// The pool as the links of one store borrow from it.
#[derive(Debug)]
pub(crate) struct Source {
    pool: Pool,
    /// For each borrowing, and for each statement.
    limit: Duration,
    tag: StatementTag,
}

impl Source {
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn new(pool: Pool, limit: Duration) -> Result<Self, Failure> {
        let tag = StatementTag::start(&pool, limit)?;
        Ok(Self { pool, limit, tag })
    }

    /// Borrows a connection, within `response_timeout`. It is closed when dropped, unless it was
    /// [given back](Lent::give_back).
    pub(crate) async fn borrow(&self) -> Result<Lent, Failure> {
        self.pool.borrow(self.limit).await
    }
}

impl Pool {
    async fn borrow(&self, limit: Duration) -> Result<Lent, Failure> {
        let borrowed = async {
            match &self.0 {
                #[cfg(feature = "deadpool-postgres")]
                Library::Deadpool(pool) => pool.get().await.map(Lent::deadpool).map_err(of_deadpool),
                #[cfg(feature = "sqlx")]
                Library::Sqlx(pool) => {
                    let borrowed = pool.acquire().await.map_err(of_sqlx::not_borrowed)?;
                    Ok(Lent::sqlx(borrowed, of_sqlx::Kept::by(pool)))
                }
            }
        };
        let in_time = timeout(limit, borrowed).await;
        in_time.unwrap_or_else(|_| Err(exhausted(&format!("within {limit:?}"))))
    }
}

fn exhausted(how_long: &str) -> Failure {
    Failure::reconnect(format!(
        "the application's pool had no connection to lend {how_long}: it is too small for what the application does, or the \
         server cannot be reached"
    ))
}

fn closed() -> Failure {
    Failure {
        recovery: Recovery::Refuse(ErrorKind::Closed),
        message: "the application has closed its pool".to_owned(),
    }
}

#[cfg(feature = "deadpool-postgres")]
fn of_deadpool(error: deadpool_postgres::PoolError) -> Failure {
    use deadpool_postgres::PoolError;

    use crate::connection::login_failure;
    use crate::error::chain;

    match error {
        PoolError::Backend(error) => login_failure::of_login(error),
        PoolError::Closed => closed(),
        PoolError::Timeout(_) => exhausted("within its own limit"),
        PoolError::NoRuntimeSpecified => Failure::invalid_config(chain(&error)),
        PoolError::PostCreateHook(_) => Failure::reconnect(chain(&error)),
    }
}
