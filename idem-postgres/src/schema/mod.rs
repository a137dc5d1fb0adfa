//! The table and the functions that the store needs in the database.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use tokio_postgres::Client;

use crate::error::chain;

/// The version of the schema that this code works with.
const VERSION: i32 = 1;
/// In the order in which they are applied.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_records.sql")];
/// The advisory lock of those who migrate: "idem" in ASCII.
const LOCK: i64 = 0x6964_656d;

/// Creates the schema or brings it up to date; safe when many do so at once.
pub(crate) async fn migrate(client: &mut Client, schema: &str) -> Result<()> {
    let failed = |error: tokio_postgres::Error| {
        let message =
            format!("the schema {schema:?} cannot be created or brought up to date: {}", chain(&error));
        Error::new(ErrorKind::Unavailable, Operation::Open, message).with_source(error)
    };
    if version(client, schema).await? == Some(VERSION) {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await.map_err(failed)?;
    let found = version_in(&transaction, schema).await?;
    if found.is_none() {
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};
             CREATE TABLE {schema}.migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        );
        transaction.batch_execute(&create).await.map_err(failed)?;
    }
    for (migration, version) in MIGRATIONS.iter().zip(1..).skip_while(|(_, version)| found >= Some(*version))
    {
        transaction.batch_execute(&of_schema(migration, schema)).await.map_err(failed)?;
        let note = format!("INSERT INTO {schema}.migrations (version) VALUES ({version})");
        transaction.batch_execute(&note).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Refuses a schema that this code does not work with.
pub(crate) async fn check(client: &Client, schema: &str) -> Result<()> {
    match version(client, schema).await? {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => {
            let message =
                format!("the schema {schema:?} has version {newer}, this code works with {VERSION}");
            Err(Error::new(ErrorKind::Incompatible, Operation::Open, message))
        }
        found => {
            let found = found.map_or("is missing".to_owned(), |older| format!("has version {older}"));
            let message = format!(
                "the schema {schema:?} {found}, this code works with {VERSION}: open the store with `migrate`, or apply \
                 the files in `migrations`"
            );
            Err(Error::new(ErrorKind::InvalidConfig, Operation::Open, message))
        }
    }
}

async fn version(client: &Client, schema: &str) -> Result<Option<i32>> {
    version_in(client, schema).await
}

async fn version_in(client: &impl tokio_postgres::GenericClient, schema: &str) -> Result<Option<i32>> {
    let failed = |error: tokio_postgres::Error| {
        let message = format!("the version of the schema {schema:?} cannot be read: {}", chain(&error));
        Error::new(ErrorKind::Unavailable, Operation::Open, message).with_source(error)
    };
    let table = format!("{schema}.migrations");
    let there = client
        .query_typed("SELECT to_regclass($1) IS NOT NULL", &[(&table, tokio_postgres::types::Type::TEXT)])
        .await;
    let there: bool = there.and_then(|rows| rows[0].try_get(0)).map_err(failed)?;
    if !there {
        return Ok(None);
    }
    let rows = client.query_typed(&format!("SELECT coalesce(max(version), 0) FROM {table}"), &[]).await;
    rows.and_then(|rows| rows[0].try_get(0)).map(Some).map_err(failed)
}

/// The statements as they are for this schema: in the files it is `idem`.
fn of_schema(sql: &str, schema: &str) -> String {
    sql.replace("idem.", &format!("{schema}."))
}
