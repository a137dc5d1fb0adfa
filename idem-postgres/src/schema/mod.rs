//! The table and the functions that the store needs in the database.

mod rights;
mod vacuum;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};

use crate::error::Failure;
use crate::sql::{Executor, Parameter, Refusal};

/// In the order in which they are applied. Once published, a file never changes: what is new comes in another one.
const MIGRATIONS: [&str; 6] = [
    include_str!("../../migrations/0001_records.sql"),
    include_str!("../../migrations/0002_lock.sql"),
    include_str!("../../migrations/0003_holders.sql"),
    include_str!("../../migrations/0004_readers.sql"),
    include_str!("../../migrations/0005_in_transaction.sql"),
    include_str!("../../migrations/0006_operators.sql"),
];
/// The version of the schema that this code works with.
const VERSION: i32 = 6;
/// The advisory lock of those who migrate: "idem" in ASCII.
const LOCK: i64 = 0x6964_656d;

/// Creates the schema or brings it up to date; safe when many do so at once.
pub(crate) async fn migrate(session: &mut impl Executor, schema: &str) -> Result<()> {
    let failed =
        |refusal| failed(&format!("the schema {schema:?} cannot be created or brought up to date"), refusal);
    if version(session, schema).await? == Some(VERSION) {
        return Ok(());
    }
    let quoted = quoted(schema);
    session.begin().await.map_err(failed)?;
    // Not for ever behind another process that hangs.
    session
        .script(&format!("SET LOCAL lock_timeout = '1min'; SELECT pg_advisory_xact_lock({LOCK})"))
        .await
        .map_err(failed)?;
    let found = version(session, schema).await?;
    if found.is_none() {
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS {quoted};
             CREATE TABLE {quoted}.migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        );
        session.script(&create).await.map_err(failed)?;
    }
    for (migration, version) in MIGRATIONS.iter().zip(1..).skip_while(|(_, version)| found >= Some(*version))
    {
        // In the files the schema is `idem`.
        session.script(&migration.replace("idem.", &format!("{quoted}."))).await.map_err(failed)?;
        let note = format!("INSERT INTO {quoted}.migrations (version) VALUES ({version})");
        session.script(&note).await.map_err(failed)?;
    }
    session.commit().await.map_err(failed)
}

/// Refuses a schema that this code does not work with.
pub(crate) async fn check(session: &mut impl Executor, schema: &str) -> Result<()> {
    match version(session, schema).await? {
        Some(VERSION) => {
            rights::check(session, schema).await?;
            vacuum::look(session, schema).await
        }
        Some(newer) if newer > VERSION => {
            let message =
                format!("the schema {schema:?} has version {newer}, this code works with {VERSION}");
            Err(Error::new(ErrorKind::Incompatible, Operation::Open, message))
        }
        found => {
            let found = match found {
                Some(older) => format!("the schema {schema:?} has version {older}"),
                None => missing(session, schema).await?,
            };
            let message = format!(
                "{found}; this code works with version {VERSION}. Open the store with `migrate`, or apply the files in \
                 `migrations` (docs/postgres.md, \"The schema, and a role of its own\")"
            );
            Err(Error::new(ErrorKind::InvalidConfig, Operation::Open, message))
        }
    }
}

/// Why a schema has no version.
async fn missing(session: &mut impl Executor, schema: &str) -> Result<String> {
    let failed = |refusal| failed(&format!("the schema {schema:?} cannot be looked for"), refusal);
    let there =
        "SELECT current_database()::text, EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1),
        EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'records')";
    let row = session.row(there, &[Parameter::Text(schema)]).await.map_err(failed)?;
    let database: String = row.get(0).map_err(incompatible)?;
    let (schema_is_there, records_are_there): (bool, bool) =
        (row.get(1).map_err(incompatible)?, row.get(2).map_err(incompatible)?);
    Ok(if records_are_there {
        format!(
            "the schema {schema:?} has a table `records`, and no table `migrations` with the numbers of the files"
        )
    } else if schema_is_there {
        format!("the schema {schema:?} has no table `migrations`")
    } else {
        format!("the database {database:?} has no schema {schema:?}")
    })
}

async fn version(session: &mut impl Executor, schema: &str) -> Result<Option<i32>> {
    let failed = |refusal| failed(&format!("the version of the schema {schema:?} cannot be read"), refusal);
    // A name that is looked up (`to_regclass`) may be answered from before the lock that migrations are done under.
    let there =
        "SELECT count(*) > 0 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'migrations'";
    let there = session.row(there, &[Parameter::Text(schema)]).await.map_err(failed)?;
    if !there.get::<bool>(0).map_err(incompatible)? {
        return Ok(None);
    }
    let highest = format!("SELECT coalesce(max(version), 0) FROM {}.migrations", quoted(schema));
    let highest = session.row(&highest, &[]).await.map_err(failed)?;
    highest.get(0).map(Some).map_err(incompatible)
}

fn failed(what: &str, refusal: Refusal) -> Error {
    let state = refusal.state.clone();
    let failure = Failure::from(refusal);
    let kind = match state.as_deref() {
        // A table of that name is there, or has no such column.
        Some("42P07" | "42703") => ErrorKind::Incompatible,
        _ => failure.recovery.kind(ErrorKind::Unavailable),
    };
    let why = match kind {
        ErrorKind::Incompatible => "; it holds tables that are not the store's",
        ErrorKind::InvalidConfig => "; docs/postgres.md says which rights a role needs",
        _ => "",
    };
    Error::new(kind, Operation::Open, format!("{what}: {}{why}", failure.message))
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn incompatible(failure: Failure) -> Error {
    failure.error(Operation::Open)
}

/// The schema as it is written into SQL, where its name may be a word of the language: `user`. Its name has no quotation
/// marks.
pub(crate) fn quoted(schema: &str) -> String {
    format!("\"{schema}\"")
}
