//! The table and the functions that the store needs in the database.

mod rights;
mod vacuum;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient};

use crate::error::{Failure, Then};

/// In the order in which they are applied. Once published, a file never changes: what is new comes in another one.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001_records.sql"),
    include_str!("../../migrations/0002_lock.sql"),
    include_str!("../../migrations/0003_holders.sql"),
    include_str!("../../migrations/0004_readers.sql"),
    include_str!("../../migrations/0005_in_transaction.sql"),
];
/// The version of the schema that this code works with.
const VERSION: i32 = 5;
/// The advisory lock of those who migrate: "idem" in ASCII.
const LOCK: i64 = 0x6964_656d;

/// Creates the schema or brings it up to date; safe when many do so at once.
pub(crate) async fn migrate(client: &mut Client, schema: &str) -> Result<()> {
    let failed =
        |error| failed(&format!("the schema {schema:?} cannot be created or brought up to date"), error);
    if version(client, schema).await? == Some(VERSION) {
        return Ok(());
    }
    let quoted = quoted(schema);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await.map_err(failed)?;
    let found = version(&transaction, schema).await?;
    if found.is_none() {
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS {quoted};
             CREATE TABLE {quoted}.migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        );
        transaction.batch_execute(&create).await.map_err(failed)?;
    }
    for (migration, version) in MIGRATIONS.iter().zip(1..).skip_while(|(_, version)| found >= Some(*version))
    {
        // In the files the schema is `idem`.
        transaction
            .batch_execute(&migration.replace("idem.", &format!("{quoted}.")))
            .await
            .map_err(failed)?;
        let note = format!("INSERT INTO {quoted}.migrations (version) VALUES ({version})");
        transaction.batch_execute(&note).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Refuses a schema that this code does not work with.
pub(crate) async fn check(client: &Client, schema: &str) -> Result<()> {
    match version(client, schema).await? {
        Some(VERSION) => {
            rights::check(client, schema).await?;
            vacuum::look(client, schema).await
        }
        Some(newer) if newer > VERSION => {
            let message =
                format!("the schema {schema:?} has version {newer}, this code works with {VERSION}");
            Err(Error::new(ErrorKind::Incompatible, Operation::Open, message))
        }
        found => {
            let found =
                found.map_or("has no table `migrations`".to_owned(), |older| format!("has version {older}"));
            let message = format!(
                "the schema {schema:?} {found}, this code works with {VERSION}: open the store with `migrate`, or apply \
                 the files in `migrations`"
            );
            Err(Error::new(ErrorKind::InvalidConfig, Operation::Open, message))
        }
    }
}

async fn version(client: &impl GenericClient, schema: &str) -> Result<Option<i32>> {
    let failed = |error| failed(&format!("the version of the schema {schema:?} cannot be read"), error);
    // A name that is looked up (`to_regclass`) may be answered from before the lock that migrations are done under.
    let there =
        "SELECT count(*) > 0 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'migrations'";
    let there = client.query_typed_one(there, &[(&schema, Type::TEXT)]).await;
    let there: bool = there.and_then(|row| row.try_get(0)).map_err(failed)?;
    if !there {
        return Ok(None);
    }
    let highest = format!("SELECT coalesce(max(version), 0) FROM {}.migrations", quoted(schema));
    let highest = client.query_typed_one(&highest, &[]).await;
    highest.and_then(|row| row.try_get(0)).map(Some).map_err(failed)
}

fn failed(what: &str, error: tokio_postgres::Error) -> Error {
    let state = error.code().map(|state| state.code().to_owned());
    let failure = Failure::from(error);
    let kind = match state.as_deref() {
        // A table of that name is there, or has no such column.
        Some("42P07" | "42703") => ErrorKind::Incompatible,
        _ => match failure.then {
            Then::Refuse(kind) => kind,
            Then::Resend | Then::SetAside | Then::Reconnect => ErrorKind::Unavailable,
        },
    };
    let why = match kind {
        ErrorKind::Incompatible => "; it holds tables that are not the store's",
        ErrorKind::InvalidConfig => "; README.md says which rights a role needs",
        _ => "",
    };
    Error::new(kind, Operation::Open, format!("{what}: {}{why}", failure.message))
}

/// The schema as it is written into SQL, where its name may be a word of the language: `user`. Its name has no quotation
/// marks.
pub(crate) fn quoted(schema: &str) -> String {
    format!("\"{schema}\"")
}
