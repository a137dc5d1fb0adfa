//! What the database itself says of what the scopes hold.

use idem_core::error::Operation;
use redb::Database;

use crate::storage::guard::guarded;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::setup;
use crate::storage::tables::recount::KnownUsage;
use crate::storage::tables::write::Tables;
use crate::storage::transaction::begin;

/// What a database that has come as far as `mark` says. It is a protection: damage that is met meanwhile keeps nobody
/// from opening a file.
pub(crate) fn known(database: &Database, mark: HighWaterMark) -> KnownUsage {
    let known = guarded(|| {
        let txn = begin(database, false)?;
        let known = Tables::open(&txn)?.known(mark)?;
        let known = KnownUsage { has_other_tables: setup::has_other_tables(&txn)?, ..known };
        txn.abort()?;
        Ok(known)
    });
    known.unwrap_or_else(|failure| {
        let error = failure.into_error(Operation::Open);
        tracing::warn!(error = &error as &dyn std::error::Error, "nobody knows what the scopes hold");
        KnownUsage { has_other_tables: true, ..KnownUsage::default() }
    })
}
