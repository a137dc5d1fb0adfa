//! The books in a redb file.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};
use tempfile::TempDir;

use crate::Result;
use crate::audit::{Booked, Entry};
use crate::request::Request;

/// What each account has been charged: (account, currency) -> cents.
const BALANCES: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("ledger.balances");

/// Each booking: (account, client's key, booking) -> (cents, currency).
pub(crate) const ENTRIES: TableDefinition<'_, (&str, &str, u64), (u64, &str)> =
    TableDefinition::new("ledger.entries");

/// A file that only this run uses.
pub(crate) struct File {
    path: PathBuf,
    /// Is removed with this value. A worker's file is in the folder of the process that started it.
    folder: Option<TempDir>,
}

impl File {
    /// In a folder of its own. The store creates the file whole or not at all, and so has to find none; for booking
    /// without it the file is created here, since redb cannot open one whose creation was cut off by a kill.
    pub(crate) fn fresh(naive: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ledger.redb");
        if naive {
            drop(Database::create(&path)?);
        }
        Ok(Self { path, folder: Some(folder) })
    }

    /// As [`fresh`](Self::fresh) made it in the process that started this one.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, folder: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn remove(self) -> Result<()> {
        Ok(self.folder.map_or(Ok(()), TempDir::close)?)
    }
}

/// Books `request` as number `booking`. All of it happens when `txn` commits, or nothing.
pub(crate) fn book(txn: &WriteTransaction, request: &Request, booking: u64) -> Result<()> {
    let (account, currency) = (request.account.as_str(), request.currency.as_str());
    let mut balances = txn.open_table(BALANCES)?;
    let before = balances.get((account, currency))?.map_or(0, |balance| balance.value());
    let after = before.checked_add(request.cents).ok_or_else(|| format!("{account} has no room left"))?;
    balances.insert((account, currency), after)?;
    let mut entries = txn.open_table(ENTRIES)?;
    entries.insert((account, request.key.as_str(), booking), (request.cents, currency))?;
    Ok(())
}

/// What is booked in `file`, by redb alone.
pub(crate) fn read(file: &Path) -> Result<Booked> {
    let mut booked = Booked::default();
    let database = Database::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let txn = database.begin_read()?;
    let balances = match txn.open_table(BALANCES) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(booked), // Nothing was ever booked.
        opened => opened?,
    };
    for row in balances.iter()? {
        let (id, cents) = row?;
        let (account, currency) = id.value();
        booked.balances.insert((account.to_owned(), currency.to_owned()), cents.value().into());
    }
    for row in txn.open_table(ENTRIES)?.iter()? {
        let (id, amount) = row?;
        let ((account, key, booking), (cents, currency)) = (id.value(), amount.value());
        let entry = Entry { booking, cents, currency: currency.to_owned() };
        booked.entries.entry((account.to_owned(), key.to_owned())).or_default().push(entry);
    }
    Ok(booked)
}
