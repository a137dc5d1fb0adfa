//! The application's own tables. They know nothing of idem, and hold whatever is booked, even the same payment twice.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use crate::Result;
use crate::request::Request;

/// What each account has been charged: (account, currency) -> cents.
pub(crate) const BALANCES: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("ledger.balances");

/// Each booking: (account, client's key, booking) -> (cents, currency).
pub(crate) const ENTRIES: TableDefinition<'_, (&str, &str, u64), (u64, &str)> =
    TableDefinition::new("ledger.entries");

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
