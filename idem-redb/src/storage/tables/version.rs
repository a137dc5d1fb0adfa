//! The schema's version, and creating the tables.

use redb::{ReadableTable, WriteTransaction};

use super::write::Tables;
use crate::error::Failure;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::records::schema::{META, SCHEMA_VERSION, VERSION_KEY};

/// The schema's version, `None` where there has never been a store.
pub(crate) fn version(txn: &WriteTransaction) -> Result<Option<u64>, Failure> {
    Ok(txn.open_table(META)?.get(VERSION_KEY)?.map(|version| version.value()))
}

/// Writes this code's version.
pub(crate) fn write_version(txn: &WriteTransaction) -> Result<(), Failure> {
    txn.open_table(META)?.insert(VERSION_KEY, SCHEMA_VERSION)?;
    Ok(())
}

/// Creates the tables.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Failure> {
    write_version(txn)?;
    let mut tables = Tables::open(txn)?;
    tables.checkpoints.open()?;
    tables.index.open()?;
    tables.outcomes.open()?;
    tables.write_mark(HighWaterMark::default())
}
