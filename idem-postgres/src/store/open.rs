//! Opening a store.

use std::sync::Arc;
use std::time::Duration;

use idem_core::clock::SystemClock;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use tokio::time::timeout;

use super::operator_calls::OperatorCalls;
use super::postgres_store::{Inner, PostgresStore};
use super::sweep;
use super::watcher::Watcher;
use crate::config::postgres_config::PostgresConfig;
#[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
use crate::connection::pool::{self, Pool};
use crate::connection::{Connector, Lanes, Opened, Ownership, Queue, Source};
use crate::error::Failure;
use crate::schema;
use crate::sql::Executor;

/// How long it may take to look at the schema, and to create it or bring it up to date. A lock of another process that does
/// so is waited for within that, for 1 min at most.
const LONGEST_PREPARATION: Duration = Duration::from_mins(2);

impl PostgresStore {
    /// Connects, and creates the schema or brings it up to date unless [`migrate`](PostgresConfig::migrate) is false.
    ///
    /// The store belongs to the runtime that it is opened on: once that has ended its calls end in
    /// [`Closed`](ErrorKind::Closed).
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a configuration that cannot work, a server that fails what `sslmode`
    /// asks, or demands fewer standbys than [`acks`](PostgresConfig::acks), a role that lacks rights or is under row-level
    /// security, and, without `migrate`, a schema that is missing or older;
    /// [`Incompatible`](ErrorKind::Incompatible) for a schema of a later version, or with tables that are not the store's;
    /// [`Unavailable`](ErrorKind::Unavailable) when no server that takes writes can be reached, when a lock that the migration
    /// needs was not free within 1 minute, or when the schema was not ready within 2 minutes.
    ///
    /// # Cancel safety
    /// Dropped, it may have created the schema, or not.
    ///
    /// # Example
    /// ```no_run
    /// use idem_postgres::{PostgresConfig, PostgresStore};
    ///
    /// async fn open() -> idem_core::Result<PostgresStore> {
    ///     let mut config = PostgresConfig::new(["db.internal:5432".parse()?], "app");
    ///     config.database = Some("app".to_owned());
    ///     PostgresStore::open(config).await
    /// }
    /// ```
    pub async fn open(config: PostgresConfig) -> Result<Self> {
        config.check()?;
        let connector = Connector::new(&config);
        // Boxed, since whoever opens a store would have all of it in a future of its own.
        let opened = Box::pin(connector.connect(|_| {})).await.map_err(unavailable)?;
        let Opened { mut client, session, ownership, .. } = opened;
        if let Some(lack) = session.lack() {
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Open, lack.message));
        }
        Box::pin(in_time(prepare(&mut client, &config))).await?;
        drop(client);
        Box::pin(Self::start(Source::Own(connector), ownership, config)).await
    }

    /// As [`open`](Self::open), on a pool that the application has already, instead of connections of the store's own. A
    /// clone of the pool is enough: the application goes on to use it.
    ///
    /// `config` is made by [`PostgresConfig::for_pool`]. How to connect is the pool's matter; the rest is the same store, with
    /// the same schema. A store takes five connections at a time at most, one for each statement, and a sixth for a moment
    /// when it has given up a statement. Waiting for one is limited by [`response_timeout`](PostgresConfig::response_timeout).
    ///
    /// # Contract
    /// That of any store of this crate, with these differences:
    ///
    /// - The pool must have more connections than the application has transactions open at once: while all are taken no call
    ///   is answered, and no lease renewed. Calls end in [`Timeout`](ErrorKind::Timeout) after
    ///   [`call_timeout`](PostgresConfig::call_timeout).
    /// - Its connections must be given back without an open transaction. What the store writes would be part of it, and
    ///   be lost when it is rolled back.
    /// - There are no notifications: who waits for another process looks four times a second.
    /// - There is no [`acks`](PostgresConfig::acks), and [`replicated`](idem_core::Capabilities::replicated) is never told:
    ///   the libraries do not pass on what the server says when a commit stops waiting for its standbys.
    /// - Whether a server was replaced by one that was promoted is not looked at: the pool follows a failover as it is set up
    ///   to. A server that does not take writes is left for another connection of the pool.
    ///
    /// Nothing about a session is changed. On a pool of deadpool-postgres nothing is prepared. sqlx prepares and keeps the
    /// store's statements as it does those of the application; with `statement_cache_capacity(0)`, as behind a pooler in
    /// transaction mode, each statement goes in a transaction of its own, which takes three round trips more.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), [`InvalidConfig`](ErrorKind::InvalidConfig) where `config` says how to connect, or has
    /// `acks`, and [`Closed`](ErrorKind::Closed) when the pool is closed.
    ///
    /// # Cancel safety
    /// Dropped, it may have created the schema, or not.
    #[cfg_attr(
        feature = "sqlx",
        doc = r"
# Example
```no_run
use idem_postgres::{PostgresConfig, PostgresStore};
use sqlx::PgPool;

async fn open(pool: &PgPool) -> idem_core::Result<PostgresStore> {
    PostgresStore::with_pool(pool.clone(), PostgresConfig::for_pool()).await
}
```"
    )]
    #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
    pub async fn with_pool(pool: impl Into<Pool>, config: PostgresConfig) -> Result<Self> {
        config.check_for_pool()?;
        let source = pool::Source::new(pool.into(), config.response_timeout).map_err(unavailable)?;
        let source = Arc::new(source);
        let mut lent = source.borrow().await.map_err(unavailable)?;
        Box::pin(in_time(async {
            // A standby has the schema as well, and the rights.
            if lent.only_reads().await.map_err(unavailable)? {
                let message = "the application's pool leads to a server, or a session, that takes no writes";
                return Err(Error::new(ErrorKind::Unavailable, Operation::Open, message));
            }
            prepare(&mut lent, &config).await
        }))
        .await?;
        lent.give_back();
        Box::pin(Self::start(Source::Pool(source), Ownership::Lent, config)).await
    }

    async fn start(source: Source, ownership: Ownership, config: PostgresConfig) -> Result<Self> {
        let lanes = || Lanes {
            link: source.link(),
            aside: source.link(),
            call_timeout: config.call_timeout,
            response_timeout: config.response_timeout,
            max_outcome: config.max_outcome,
        };
        // What holders send does not wait behind the locks of others.
        let (locks, holders) = (lanes(), lanes());
        for link in [&locks.link, &holders.link] {
            link.connection().await.map_err(unavailable)?;
        }
        let links = [&locks.link, &holders.link, &locks.aside, &holders.aside];
        // One of a pool's connections is as good as another.
        let first = if source.is_own() { 2 } else { 1 };
        let watcher = Watcher::start(links.split_at(first), config.response_timeout).await;
        let schema = &schema::quoted(&config.schema);
        let inner = Arc::new(Inner {
            clock: Arc::new(SystemClock),
            operator_calls: Arc::new(OperatorCalls::new(source.link(), schema, config.call_timeout)),
            locks: Queue::start(locks.clone(), schema),
            reads: Queue::start(locks.clone(), schema),
            waits: Queue::start(locks, schema),
            completions: Queue::start(holders.clone(), schema),
            renewals: Queue::start(holders.clone(), schema),
            releases: Queue::start(holders, schema),
            listener: source.listener(),
            ownership,
            watcher,
            hears_cancelled_waits: source.is_own(),
            config,
        });
        if inner.config.sweep {
            tokio::spawn(sweep::run(Arc::downgrade(&inner.operator_calls), inner.config.sweep_interval));
        }
        Ok(Self(inner))
    }
}

async fn in_time(prepared: impl Future<Output = Result<()>>) -> Result<()> {
    timeout(LONGEST_PREPARATION, prepared).await.unwrap_or_else(|_| {
        let message = format!(
            "the schema was not ready within {} s; is one of its tables locked (pg_stat_activity.wait_event_type = 'Lock')?",
            LONGEST_PREPARATION.as_secs()
        );
        Err(Error::new(ErrorKind::Unavailable, Operation::Open, message))
    })
}

/// Creates the schema where that is asked for, and refuses one that this code does not work with.
async fn prepare(session: &mut impl Executor, config: &PostgresConfig) -> Result<()> {
    if config.migrate {
        schema::migrate(session, &config.schema).await?;
    }
    schema::check(session, &config.schema).await
}

fn unavailable(failure: Failure) -> Error {
    Error::new(failure.recovery.kind(ErrorKind::Unavailable), Operation::Open, failure.message)
}
