//! What is found in a database when it is opened: the store's tables, made where there may be none, checked where there
//! are any, and brought up to this version.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use redb::{TableHandle, WriteTransaction};

use crate::error::Failure;
use crate::storage::migrate;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::schema::{self, SCHEMA_VERSION};
use crate::storage::tables::version;
use crate::storage::tables::write::Tables;

/// Whose a database is, and whether it may be without the store's tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Ours alone; made when there is nothing.
    Own,
    /// Ours, and opened before: what it held must be there, so nothing is made anew.
    Again,
    /// The application's, with tables of its own.
    Shared,
    /// The application's, which held the store before.
    SharedAgain,
}

/// Makes the tables where there are none, checks the version where there are, and brings version 1 up to it.
pub(crate) fn prepare(txn: WriteTransaction, ownership: Ownership) -> Result<Prepared, Failure> {
    let found = find_or_create(&txn, ownership)?;
    // Where nothing is to be written, a full disk must not keep what is there from being read.
    if found.wrote {
        txn.commit().map_err(Failure::latched)?;
    } else {
        txn.abort()?;
    }
    Ok(found)
}

/// What was there, or is now.
pub(crate) struct Prepared {
    pub(crate) mark: HighWaterMark,
    /// Whether tables were made, or brought up to this version.
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
        (0, Ownership::Own | Ownership::Again) if !tables.is_empty() => Err(foreign()),
        (1.., _) | (0, Ownership::Again | Ownership::SharedAgain) => Err(lost()),
        (0, Ownership::Own | Ownership::Shared) => {
            version::create(txn)?;
            Ok(Prepared { mark: HighWaterMark::default(), wrote: true })
        }
    }
}

/// Whether there are tables of the application's beside the store's.
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

/// Makes the tables in an application's own database where `ownership` lets it, and checks that they are ours where
/// there are any. `go_on` answers how far the store has come by now, which is written: a second store on it must not be
/// ahead of the first.
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

/// Looks whether an application's database that was opened anew is the one that it was, and writes nothing.
pub(crate) fn check_reopened(txn: WriteTransaction) -> Result<HighWaterMark, Failure> {
    Ok(prepare(txn, Ownership::SharedAgain)?.mark)
}
