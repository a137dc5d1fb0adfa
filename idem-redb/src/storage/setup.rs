//! Setting up the store's tables in a database that is opened: they are created where none may exist, and else checked
//! and migrated.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use redb::{TableHandle, WriteTransaction};

use crate::error::Failure;
use crate::storage::migrate;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::schema::{self, SCHEMA_VERSION};
use crate::storage::tables::version;
use crate::storage::tables::write::Tables;

/// Who owns a database, and whether it may lack the store's tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// The store owns it; the tables are created when the database is empty.
    Own,
    /// The store owns it and had it open before: its tables must exist, and none are created.
    OwnReopened,
    /// The application owns it, and has tables of its own in it.
    Shared,
    /// The application owns it, and it held the store before: the store's tables must exist.
    SharedReopened,
}

/// Creates the tables where there are none; else checks their version, and migrates version 1.
pub(crate) fn prepare(txn: WriteTransaction, ownership: Ownership) -> Result<Prepared, Failure> {
    let found = find_or_create(&txn, ownership)?;
    // Without changes nothing is committed: on a full disk, the records must stay readable.
    if found.wrote {
        txn.commit().map_err(Failure::latched)?;
    } else {
        txn.abort()?;
    }
    Ok(found)
}

/// A database that has the tables.
pub(crate) struct Prepared {
    pub(crate) mark: HighWaterMark,
    /// Whether tables were created or migrated.
    wrote: bool,
}

fn find_or_create(txn: &WriteTransaction, ownership: Ownership) -> Result<Prepared, Failure> {
    let tables: Vec<String> = txn.list_tables()?.map(|table| table.name().to_owned()).collect();
    let ours = tables.iter().filter(|name| schema::TABLES.contains(&name.as_str())).count();
    let mut is_version_1 = false;
    if tables.iter().any(|name| name == schema::META.name()) {
        let version = version::version(txn)?;
        check(version)?;
        is_version_1 = version == Some(1);
    }
    match (ours, ownership) {
        (migrate::TABLES_OF_VERSION_1, _) if is_version_1 => {
            Ok(Prepared { mark: migrate::from_version_1(txn)?, wrote: true })
        }
        (schema::TABLES_IN_ALL, _) => {
            let tables = Tables::open(txn)?;
            Ok(Prepared { mark: tables.mark()?, wrote: false })
        }
        (0, Ownership::Own | Ownership::OwnReopened) if !tables.is_empty() => Err(foreign()),
        (1.., _) | (0, Ownership::OwnReopened | Ownership::SharedReopened) => Err(lost()),
        (0, Ownership::Own | Ownership::Shared) => {
            version::create(txn)?;
            Ok(Prepared { mark: HighWaterMark::default(), wrote: true })
        }
    }
}

/// Whether the application has tables beside the store's.
pub(crate) fn has_other_tables(txn: &WriteTransaction) -> Result<bool, Failure> {
    Ok(txn.list_tables()?.any(|table| !is_of_idem(&table)) || txn.list_multimap_tables()?.next().is_some())
}

pub(crate) fn is_of_idem(table: &impl TableHandle) -> bool {
    schema::TABLES.contains(&table.name())
}

pub(crate) fn check(version: Option<u64>) -> Result<(), Failure> {
    match version {
        Some(1 | SCHEMA_VERSION) => Ok(()),
        Some(version) => {
            let message =
                format!("the store has schema version {version}, this code reads 1 and {SCHEMA_VERSION}");
            Err(Failure::Record(Error::new(ErrorKind::Incompatible, Operation::Open, message)))
        }
        None => {
            let message = "the store does not say its schema version";
            Err(Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Open, message)))
        }
    }
}

pub(crate) fn foreign() -> Failure {
    let message = "the file is a redb database, but no idem store; share it with `with_database`";
    Failure::Record(Error::new(ErrorKind::Incompatible, Operation::Open, message))
}

pub(crate) fn lost() -> Failure {
    let message = "the store that it held is gone from it, or a part of it is; restore it from a backup";
    Failure::Record(Error::new(ErrorKind::Corrupt, Operation::Open, message))
}

/// Sets up the tables in the application's own database, as far as `ownership` allows. `advance` turns the high-water
/// mark that was found into the current one, which is written: a second store on the database must not be ahead of the
/// first.
pub(crate) fn adopt(
    txn: WriteTransaction,
    ownership: Ownership,
    advance: impl FnOnce(HighWaterMark) -> Result<HighWaterMark>,
) -> Result<HighWaterMark, Failure> {
    let mark = advance(find_or_create(&txn, ownership)?.mark).map_err(Failure::Record)?;
    Tables::open(&txn)?.write_mark(mark)?;
    txn.commit().map_err(Failure::latched)?;
    Ok(mark)
}

/// Checks that the application's database, which was reopened, still holds the store. Writes nothing.
pub(crate) fn check_reopened(txn: WriteTransaction) -> Result<HighWaterMark, Failure> {
    Ok(prepare(txn, Ownership::SharedReopened)?.mark)
}
