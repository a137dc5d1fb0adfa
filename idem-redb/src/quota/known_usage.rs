//! Reading the scopes' usage from a database that was just opened.

use idem_core::error::Operation;
use redb::Database;

use crate::storage::guard::guarded;
use crate::storage::records::high_water_mark::HighWaterMark;
use crate::storage::setup;
use crate::storage::tables::recount::KnownUsage;
use crate::storage::tables::write::Tables;
use crate::storage::transaction::begin;

/// The scopes' usage in a database whose high-water mark is `mark`. Damage found meanwhile does not fail the opening:
/// quotas are a protection, not a promise.
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
