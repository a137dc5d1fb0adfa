//! Durable write transactions.

use redb::{Database, WriteTransaction};

use crate::error::Failure;

/// Begins a durable write transaction on a database that only the store writes to.
pub(crate) fn begin(database: &Database, quick_repair: bool) -> Result<WriteTransaction, Failure> {
    let mut txn = database.try_begin_write().map_err(Failure::latched)?;
    set_commit_options(&mut txn, quick_repair);
    Ok(txn)
}

/// Makes the commit of `txn` a two-phase one, with quick repair or without. After a one-phase commit, a file can become
/// unreadable when a sync fails, the system drops the pages, and the power is cut soon after.
pub(crate) fn set_commit_options(txn: &mut WriteTransaction, quick_repair: bool) {
    txn.set_quick_repair(quick_repair);
    txn.set_two_phase_commit(true);
}
