//! Bare statements through the pools that applications use.

use std::hint::black_box;
use std::sync::Arc;

use idem_benches::{Payload, Place, Raw, Result, Workload};
use idem_core::Key;
use idem_servers::postgres::Node;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_postgres::NoTls;

const CONNECTIONS: usize = 32;
/// Rows that are filled in by one statement.
const FILLED: usize = 500;

/// A pool of an application.
pub(crate) enum Pool {
    Deadpool(deadpool_postgres::Pool),
    Sqlx(PgPool),
}

impl Pool {
    pub(crate) fn deadpool(node: &Node) -> Result<Self> {
        let mut config = tokio_postgres::Config::new();
        config
            .host(node.addr().ip().to_string())
            .port(node.addr().port())
            .user("postgres")
            .dbname("postgres");
        let manager = deadpool_postgres::Manager::new(config, NoTls);
        Ok(Self::Deadpool(deadpool_postgres::Pool::builder(manager).max_size(CONNECTIONS).build()?))
    }

    pub(crate) async fn sqlx(node: &Node) -> Result<Self> {
        let options = PgConnectOptions::new().host(&node.addr().ip().to_string()).port(node.addr().port());
        let options = options.username("postgres").database("postgres");
        let most = u32::try_from(CONNECTIONS)?;
        Ok(Self::Sqlx(PgPoolOptions::new().max_connections(most).connect_with(options).await?))
    }

    pub(crate) async fn batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::Deadpool(pool) => pool.get().await?.batch_execute(sql).await?,
            Self::Sqlx(pool) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await?;
            }
        }
        Ok(())
    }

    async fn write(&self, sql: &str, key: &[u8], record: &[u8]) -> Result<()> {
        let written = match self {
            Self::Deadpool(pool) => {
                let connection = pool.get().await?;
                let statement = connection.prepare_cached(sql).await?;
                connection.execute(&statement, &[&key, &record]).await?
            }
            Self::Sqlx(pool) => {
                sqlx::query(AssertSqlSafe(sql)).bind(key).bind(record).execute(pool).await?.rows_affected()
            }
        };
        if written == 1 { Ok(()) } else { Err(format!("{written} rows were written").into()) }
    }

    async fn read(&self, sql: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Deadpool(pool) => {
                let connection = pool.get().await?;
                let statement = connection.prepare_cached(sql).await?;
                Ok(connection.query_opt(&statement, &[&key]).await?.map(|row| row.try_get(0)).transpose()?)
            }
            Self::Sqlx(pool) => {
                Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(key).fetch_optional(pool).await?)
            }
        }
    }

    async fn fill(&self, sql: &str, keys: &[&[u8]], record: &[u8]) -> Result<()> {
        match self {
            Self::Deadpool(pool) => {
                pool.get().await?.execute(sql, &[&keys, &record]).await?;
            }
            Self::Sqlx(pool) => {
                sqlx::query(AssertSqlSafe(sql)).bind(keys).bind(record).execute(pool).await?;
            }
        }
        Ok(())
    }
}

/// A table of keys and records.
pub(crate) struct Bare {
    pool: Pool,
    insert: String,
    update: String,
    select: String,
    fill: String,
}

impl Bare {
    pub(crate) async fn on(pool: Pool, table: &str) -> Result<Self> {
        // Fill factor and storage of the record are those of the store's own table.
        let fresh = format!(
            "DROP TABLE IF EXISTS {table};
             CREATE TABLE {table} (key bytea PRIMARY KEY, record bytea NOT NULL) WITH (fillfactor = 90);
             ALTER TABLE {table} ALTER COLUMN record SET STORAGE EXTERNAL"
        );
        pool.batch(&fresh).await?;
        Ok(Self {
            pool,
            insert: format!("INSERT INTO {table} (key, record) VALUES ($1, $2) ON CONFLICT DO NOTHING"),
            update: format!("UPDATE {table} SET record = $2 WHERE key = $1"),
            select: format!("SELECT record FROM {table} WHERE key = $1"),
            fill: format!("INSERT INTO {table} (key, record) SELECT unnest($1::bytea[]), $2::bytea"),
        })
    }
}

impl Raw for Bare {
    async fn fill(&self, keys: &[Key], record: &Arc<[u8]>) -> Result<()> {
        for keys in keys.chunks(FILLED) {
            let keys: Vec<&[u8]> = keys.iter().map(|key| &key.storage_key()[..]).collect();
            self.pool.fill(&self.fill, &keys, record).await?;
        }
        Ok(())
    }

    async fn lock(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.pool.write(&self.insert, key.storage_key(), &payload.lock_record).await
    }

    async fn cycle(&self, key: &Key, payload: &Payload) -> Result<()> {
        self.lock(key, payload).await?;
        self.pool.write(&self.update, key.storage_key(), &payload.outcome_record).await
    }

    async fn get(&self, key: &Key) -> Result<Option<usize>> {
        let record = self.pool.read(&self.select, key.storage_key()).await?;
        Ok(record.map(|record| black_box(record).len()))
    }

    fn place(&self, _workload: Workload) -> Place {
        Place::Tasks
    }
}
