//! What a store holds.

use idem_core::Result;
use redb::{ReadTransaction, ReadableTableMetadata};

use crate::error::Failure;
use crate::storage::records::lock_expiry::{USAGE, note_key};
use crate::storage::records::schema::{LOCKS, OUTCOMES};

/// What a [`RedbStore`](crate::RedbStore) holds, as of its last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedbStats {
    /// Keys that are locked or were left unfinished, including expired ones that are not removed yet. During a sweep,
    /// up to half of the locks that it has removed are still counted.
    pub unfinished: u64,
    /// Keys that are completed, including expired ones that are not removed yet.
    pub completed: u64,
}

pub(crate) fn count(txn: &ReadTransaction) -> Result<RedbStats, Failure> {
    // The table also holds a note for each lock, the high-water mark, and most often the scopes' usage.
    let locks = txn.open_table(LOCKS)?;
    let of_its_own = 1 + u64::from(locks.get(&note_key(USAGE))?.is_some());
    let unfinished = locks.len()?.saturating_sub(of_its_own).div_ceil(2);
    Ok(RedbStats { unfinished, completed: txn.open_table(OUTCOMES)?.len()? })
}
