//! An application with a pool.

use deadpool_postgres::Manager;
use idem_core::{Error, Lease, Outcome, Transacted};
use idem_postgres::{NotCompleted, Pool, PostgresConfig, PostgresStore, Provisional};
use idem_servers::postgres::{Node, shared_lone};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Postgres};
use tokio_postgres::NoTls;

use crate::support::config_of;

#[derive(Debug, Clone, Copy)]
pub(super) enum Library {
    Deadpool,
    Sqlx,
}

/// The application's pool, and a configuration of a store on it whose schema no other test uses.
#[derive(Clone)]
pub(super) struct Application {
    pub(super) config: PostgresConfig,
    /// For connections that are not the pool's.
    pub(super) server: PostgresConfig,
    pub(super) pool: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    Deadpool(deadpool_postgres::Pool),
    Sqlx(PgPool),
}

/// A connection that the application holds.
pub(super) enum Held {
    Deadpool(deadpool_postgres::Object),
    Sqlx(PoolConnection<Postgres>),
}

impl Application {
    /// On the server that all tests share.
    pub(super) async fn with(library: Library, connections: u8) -> Self {
        Self::on(shared_lone().await, library, connections, "postgres")
    }

    pub(super) fn on(server: Node, library: Library, connections: u8, user: &str) -> Self {
        let of_server = config_of(server);
        let name = &of_server.schema;
        let (host, port) = (server.addr().ip().to_string(), server.addr().port());
        let pool = match library {
            Library::Deadpool => {
                let mut options = tokio_postgres::Config::new();
                options.host(host).port(port).user(user).dbname("postgres").application_name(name);
                let manager = Manager::new(options, NoTls);
                let pool = deadpool_postgres::Pool::builder(manager).max_size(connections.into());
                Kind::Deadpool(pool.build().unwrap())
            }
            Library::Sqlx => {
                let options = PgConnectOptions::new().host(&host).port(port).username(user);
                let options = options.database("postgres").application_name(name);
                Kind::Sqlx(pool_of_sqlx(options, connections))
            }
        };
        let mut config = PostgresConfig::for_pool();
        config.schema.clone_from(name);
        Self { config, server: of_server, pool }
    }

    pub(super) async fn open(&self) -> PostgresStore {
        self.try_open().await.unwrap()
    }

    pub(super) async fn try_open(&self) -> idem_core::Result<PostgresStore> {
        PostgresStore::with_pool(self.pool(), self.config.clone()).await
    }

    pub(super) fn pool(&self) -> Pool {
        match &self.pool {
            Kind::Deadpool(pool) => pool.clone().into(),
            Kind::Sqlx(pool) => pool.clone().into(),
        }
    }

    pub(super) async fn hold(&self) -> Held {
        match &self.pool {
            Kind::Deadpool(pool) => Held::Deadpool(pool.get().await.unwrap()),
            Kind::Sqlx(pool) => Held::Sqlx(pool.acquire().await.unwrap()),
        }
    }

    /// Connections that are open.
    pub(super) fn size(&self) -> usize {
        match &self.pool {
            Kind::Deadpool(pool) => pool.status().size,
            Kind::Sqlx(pool) => pool.size().try_into().unwrap(),
        }
    }

    pub(super) async fn close(&self) {
        match &self.pool {
            Kind::Deadpool(pool) => pool.close(),
            Kind::Sqlx(pool) => pool.close().await,
        }
    }

    /// `complete_and_commit` in a transaction by a connection of the pool.
    pub(super) async fn complete_and_commit(
        &self,
        store: &PostgresStore,
        lease: &Lease,
        outcome: Outcome,
    ) -> idem_core::Result<Transacted<Error>> {
        match self.hold().await {
            Held::Deadpool(mut held) => {
                store.complete_and_commit(held.transaction().await.unwrap(), lease, outcome).await
            }
            Held::Sqlx(mut held) => {
                let transaction = sqlx::Connection::begin(&mut *held).await.unwrap();
                store.complete_and_commit(transaction, lease, outcome).await
            }
        }
    }

    /// `complete_in` in such a transaction, which is then rolled back.
    pub(super) async fn complete_and_roll_back(
        &self,
        store: &PostgresStore,
        lease: &Lease,
        outcome: Outcome,
    ) -> Result<Provisional, NotCompleted> {
        match self.hold().await {
            Held::Deadpool(mut held) => {
                let mut transaction = held.transaction().await.unwrap();
                let completed = store.complete_in(&mut transaction, lease, outcome).await;
                transaction.rollback().await.unwrap();
                completed
            }
            Held::Sqlx(mut held) => {
                let mut transaction = sqlx::Connection::begin(&mut *held).await.unwrap();
                let completed = store.complete_in(&mut transaction, lease, outcome).await;
                transaction.rollback().await.unwrap();
                completed
            }
        }
    }
}

impl Held {
    pub(super) async fn run(&mut self, sql: &str) {
        match self {
            Self::Deadpool(held) => held.batch_execute(sql).await.unwrap(),
            Self::Sqlx(held) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **held).await.unwrap();
            }
        }
    }

    /// Sends what the server refuses.
    pub(super) async fn fail(&mut self) {
        match self {
            Self::Deadpool(held) => assert!(held.batch_execute("SELECT 1 / 0").await.is_err()),
            Self::Sqlx(held) => assert!(sqlx::raw_sql("SELECT 1 / 0").execute(&mut **held).await.is_err()),
        }
    }

    /// A number that the server gives.
    pub(super) async fn number(&mut self, sql: &str) -> i64 {
        match self {
            Self::Deadpool(held) => held.query_typed_one(sql, &[]).await.unwrap().get(0),
            Self::Sqlx(held) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut **held).await.unwrap(),
        }
    }
}

pub(super) fn pool_of_sqlx(options: PgConnectOptions, connections: u8) -> PgPool {
    PgPoolOptions::new().max_connections(connections.into()).connect_lazy_with(options)
}
