//! Durable write transactions.

use redb::{Database, WriteTransaction};

use crate::error::Failure;

/// A durable write transaction of a database that nobody else writes to.
pub(crate) fn begin(database: &Database, quick_repair: bool) -> Result<WriteTransaction, Failure> {
    let mut txn = database.try_begin_write().map_err(Failure::latched)?;
    set_commit_options(&mut txn, quick_repair);
    Ok(txn)
}

/// Lets the commit of `txn` be made in two phases, with what an opening after a crash would else have to find out or
/// without. In one phase, a file can become unreadable when a sync fails, the system drops its pages, and the power is
/// cut soon after.
pub(crate) fn set_commit_options(txn: &mut WriteTransaction, quick_repair: bool) {
    txn.set_quick_repair(quick_repair);
    txn.set_two_phase_commit(true);
}
