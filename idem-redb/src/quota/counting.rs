//! Counting the scopes' usage with each commit, and saving it now and then.

use std::time::Duration;

use idem_core::clock::Timestamp;

use crate::error::Failure;
use crate::quota::counts::Counts;
use crate::quota::scope_quota::ScopeQuota;
use crate::storage::tables::write::Tables;

/// The counting of the scopes' usage in a database, where it is counted at all.
#[derive(Debug)]
pub(crate) struct Counting {
    quota: Option<ScopeQuota>,
    /// Whether the database may hold a usage row that is no longer kept up: a later opening must not believe it.
    is_stale: bool,
}

impl Counting {
    pub(crate) fn new(quota: Option<ScopeQuota>) -> Self {
        Self { is_stale: quota.is_none(), quota }
    }

    pub(crate) fn quota(&self) -> Option<&ScopeQuota> {
        self.quota.as_ref()
    }

    /// Another database of the application was adopted.
    pub(crate) fn adopted(&mut self) {
        self.is_stale = true;
    }

    /// The database was reopened: the counts may differ from what is in it.
    pub(crate) fn opened_again(&mut self) {
        if let Some(quota) = &mut self.quota {
            quota.counts.is_exact = false;
        }
    }

    /// Counts the changes made in `tables`, and saves the counts now and then, beside a mark of `time`.
    pub(crate) fn write(
        &self,
        tables: &mut Tables<'_>,
        time: Timestamp,
        now: Duration,
    ) -> Result<Option<Counts>, Failure> {
        let Some(quota) = &self.quota else { return self.forget(tables).map(|()| None) };
        let mut counts = quota.counts.with(&tables.take_changes(), quota.exempt(), now);
        if counts.is_saved_at(now) {
            if counts.is_to_be_recounted(now) {
                counts.recount(tables, now);
            }
            // Not the last row: later changes may never be saved.
            tables.write_usage(&counts.row(time, quota.peak(), false))?;
        }
        Ok(Some(counts))
    }

    /// Saves all counts.
    pub(crate) fn write_all(&self, tables: &mut Tables<'_>, time: Timestamp) -> Result<(), Failure> {
        match &self.quota {
            Some(quota) => tables.write_usage(&quota.counts.row(time, quota.peak(), true)),
            None => self.forget(tables),
        }
    }

    fn forget(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        if self.is_stale { tables.remove_usage() } else { Ok(()) }
    }

    /// Takes over the counts once they are committed.
    pub(crate) fn committed(&mut self, counts: Option<Counts>) {
        self.is_stale = false;
        if let (Some(quota), Some(counts)) = (&mut self.quota, counts) {
            quota.committed(counts);
        }
    }
}
