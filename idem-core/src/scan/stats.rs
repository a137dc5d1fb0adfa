//! What a store holds, counted by a scan.

use std::collections::HashMap;
use std::time::Duration;

use super::entry::{Entry, Page, Stage};
use super::request::RecordState;
use crate::clock::Timestamp;
use crate::identity::Scope;

/// Scopes that are counted one by one.
const MOST_SCOPES: usize = 4_096;

/// What a store holds, counted from the [pages](Page) of a scan.
///
/// ```
/// use std::time::Duration;
/// use idem_core::{Store, StoreExt};
/// use idem_core::scan::RecordState;
///
/// async fn report(store: &dyn Store) -> idem_core::Result<()> {
///     let stats = store.record_stats(Duration::from_hours(1)).await?;
///     println!("{} keys are held", stats.records(RecordState::Held));
///     println!("{} of {} outcomes expire within an hour", stats.expiring(), stats.records(RecordState::Completed));
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stats {
    within: Duration,
    by_state: [u64; RecordState::ALL.len()],
    expired: u64,
    bytes: u64,
    expiring: u64,
    oldest_completion: Option<Timestamp>,
    oldest_lapse: Option<Timestamp>,
    scopes: HashMap<[u8; Scope::PREFIX_LEN], Count>,
    dropped_scopes: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    records: u64,
    bytes: u64,
}

/// What one scope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeShare {
    /// The scope's [prefix](Scope::prefix).
    pub prefix: [u8; Scope::PREFIX_LEN],
    /// How many records, expired ones included.
    pub records: u64,
    /// How many bytes, as the [entries](Entry::bytes) have them.
    pub bytes: u64,
}

impl Stats {
    /// Nothing counted yet. Completed records that expire `within` this time of when they are read are counted as
    /// [`expiring`](Stats::expiring).
    #[must_use]
    pub fn new(within: Duration) -> Self {
        Self { within, ..Self::default() }
    }

    /// Counts what a page lists.
    pub fn add(&mut self, page: &Page) {
        page.entries.iter().for_each(|entry| self.count(entry));
    }

    fn count(&mut self, entry: &Entry) {
        self.bytes += entry.bytes;
        self.count_scope(entry);
        if entry.is_expired() {
            self.expired += 1;
            return;
        }
        let state = entry.state();
        self.by_state[state as usize] += 1;
        let Some(summary) = &entry.summary else { return };
        match summary.stage {
            Stage::Completed { completed_at, .. } => {
                self.expiring += u64::from(summary.expires_at <= entry.as_of + self.within);
                let oldest = self.oldest_completion.get_or_insert(completed_at);
                *oldest = completed_at.min(*oldest);
            }
            Stage::Unfinished { lease_until, .. } if state == RecordState::Lapsed => {
                let oldest = self.oldest_lapse.get_or_insert(lease_until);
                *oldest = lease_until.min(*oldest);
            }
            Stage::Unfinished { .. } => {}
        }
    }

    fn count_scope(&mut self, entry: &Entry) {
        let prefix = entry.key.scope_prefix();
        if self.scopes.len() == MOST_SCOPES && !self.scopes.contains_key(&prefix) {
            self.drop_small_scopes();
        }
        let count = self.scopes.entry(prefix).or_default();
        count.records += 1;
        count.bytes += entry.bytes;
    }

    /// Drops the smaller half of the scopes, to make room.
    fn drop_small_scopes(&mut self) {
        let mut sizes: Vec<_> = self.scopes.values().map(|count| count.bytes).collect();
        let (_, median, _) = sizes.select_nth_unstable(MOST_SCOPES / 2);
        let (median, mut room) = (*median, MOST_SCOPES / 2);
        room -= self.scopes.values().filter(|count| count.bytes > median).count();
        self.scopes.retain(|_, count| {
            let fits = count.bytes == median && room > 0;
            room -= usize::from(fits);
            fits || count.bytes > median
        });
        self.dropped_scopes = true;
    }

    /// Records in `state` that have not expired.
    #[must_use]
    pub fn records(&self, state: RecordState) -> u64 {
        self.by_state[state as usize]
    }

    /// All records, expired ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_state.iter().sum::<u64>() + self.expired
    }

    /// Records that have expired, and that nothing has removed yet.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The bytes of all records, as the [entries](Entry::bytes) have them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Completed records that expire within the time that was asked for.
    #[must_use]
    pub fn expiring(&self) -> u64 {
        self.expiring
    }

    /// When the oldest completed record that has not expired was completed.
    #[must_use]
    pub fn oldest_completion(&self) -> Option<Timestamp> {
        self.oldest_completion
    }

    /// When the lapsed lease ended that ended first.
    #[must_use]
    pub fn oldest_lapse(&self) -> Option<Timestamp> {
        self.oldest_lapse
    }

    /// What each scope holds, the largest first.
    #[must_use]
    pub fn scopes(&self) -> Vec<ScopeShare> {
        let share = |(prefix, count): (&[u8; Scope::PREFIX_LEN], &Count)| ScopeShare {
            prefix: *prefix,
            records: count.records,
            bytes: count.bytes,
        };
        let mut shares: Vec<_> = self.scopes.iter().map(share).collect();
        shares.sort_unstable_by_key(|share| (u64::MAX - share.bytes, share.prefix));
        shares
    }

    /// Whether [`scopes`](Stats::scopes) has all scopes, each with all that it holds. With more than some thousands of
    /// scopes small ones are dropped, and begin anew where more of theirs is listed: what is said of a scope is then a
    /// lower bound.
    #[must_use]
    pub fn has_all_scopes(&self) -> bool {
        !self.dropped_scopes
    }
}
