//! The bytes held by the scopes that hold the most, and by all scopes together.
//!
//! An exact count for each scope would have to be kept in the file, and each commit would rewrite a page for each of
//! its scopes. This is the weighted Misra-Gries summary instead: a few counters, in a row that shares a page with what
//! every commit writes anyway.
//!
//! - A counter is never above what its scope holds, apart from what a crash loses (below), so no scope is refused for
//!   what others hold.
//! - It is below by no more than a 33rd of all bytes that were counted since the scope's first record. What other
//!   scopes wrote and removed since is part of that: a scope that writes much at one time, and keeps it for long while
//!   others come and go, is counted for less and less.
//! - A crash loses the counts of the last moment: of up to a second, and of no more than 64 KiB of changes beside the
//!   last commit. Lost removals stay counted, so a counter may be too high by as much, until the records are few
//!   enough to be recounted.

use idem_core::Scope;

/// How many scopes are counted.
pub(crate) const COUNTERS: usize = 32;
/// The prefix of the storage keys of one scope.
pub(crate) type ScopeId = [u8; Scope::PREFIX_LEN];

/// The usage of the heaviest scopes, and of all scopes together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ScopeUsage {
    all: u64,
    /// At most [`COUNTERS`], none of them zero.
    scopes: Vec<(ScopeId, u64)>,
}

impl ScopeUsage {
    /// A total of `all` bytes, of which each of `scopes` has so many.
    pub(crate) fn new(all: u64, mut scopes: Vec<(ScopeId, u64)>) -> Self {
        scopes.retain(|(_, usage)| *usage > 0);
        scopes.truncate(COUNTERS);
        Self { all, scopes }
    }

    /// The usage of the heaviest scopes, in no order.
    pub(crate) fn scopes(&self) -> &[(ScopeId, u64)] {
        &self.scopes
    }

    /// Sets the total to an estimate.
    pub(crate) fn estimate(&mut self, all: u64) {
        self.all = all;
    }

    /// The usage of all scopes together.
    pub(crate) fn all(&self) -> u64 {
        self.all
    }

    /// The least that `scope` holds.
    pub(crate) fn of(&self, scope: &ScopeId) -> u64 {
        self.scopes.iter().find(|(id, _)| id == scope).map_or(0, |(_, usage)| *usage)
    }

    /// Counts a change of what `scope` holds. `None`: a scope that is counted in the total only.
    pub(crate) fn change(&mut self, scope: Option<&ScopeId>, bytes: i64) {
        let size = bytes.unsigned_abs();
        if bytes < 0 {
            self.all = self.all.saturating_sub(size);
            if let Some(scope) = scope {
                self.remove(scope, size);
            }
        } else {
            self.all = self.all.saturating_add(size);
            if let Some(scope) = scope {
                self.add(scope, size);
            }
        }
    }

    fn add(&mut self, scope: &ScopeId, mut bytes: u64) {
        if let Some((_, usage)) = self.scopes.iter_mut().find(|(id, _)| id == scope) {
            *usage = usage.saturating_add(bytes);
            return;
        }
        if self.scopes.len() == COUNTERS {
            // Subtracted from all counters alike, the newcomer's included: a scope that holds much more than the
            // others stays.
            let least = self.scopes.iter().map(|(_, usage)| *usage).min().unwrap_or_default().min(bytes);
            self.scopes.iter_mut().for_each(|(_, usage)| *usage -= least);
            self.scopes.retain(|(_, usage)| *usage > 0);
            bytes -= least;
        }
        if bytes > 0 {
            self.scopes.push((*scope, bytes));
        }
    }

    fn remove(&mut self, scope: &ScopeId, bytes: u64) {
        if let Some((_, usage)) = self.scopes.iter_mut().find(|(id, _)| id == scope) {
            *usage = usage.saturating_sub(bytes);
            self.scopes.retain(|(_, usage)| *usage > 0);
        }
    }
}

/// The changes of one transaction, in their order.
#[derive(Debug, Default)]
pub(crate) struct UsageChanges(Vec<(ScopeId, i64)>);

impl UsageChanges {
    /// Merges neighbouring changes of one scope.
    pub(crate) fn add(&mut self, scope: ScopeId, bytes: i64) {
        match self.0.last_mut() {
            Some((last, sum)) if *last == scope => *sum = sum.saturating_add(bytes),
            _ => self.0.push((scope, bytes)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(ScopeId, i64)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn scope(number: u64) -> ScopeId {
        let mut id = ScopeId::default();
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    /// Pseudo-random numbers, the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % end
        }

        /// Small numbers far more often than large ones.
        fn skewed(&mut self, end: u64) -> u64 {
            let end = 1 + self.below(end);
            self.below(end)
        }
    }

    #[test]
    fn few_scopes_are_counted_exactly() {
        let mut usage = ScopeUsage::default();
        for number in 0..COUNTERS as u64 {
            usage.change(Some(&scope(number)), 100);
            usage.change(Some(&scope(number)), i64::try_from(number).unwrap_or(0) - 50);
        }
        for number in 0..COUNTERS as u64 {
            assert_eq!(usage.of(&scope(number)), 50 + number);
        }
        assert_eq!(usage.of(&scope(99)), 0);
    }

    #[test]
    fn a_newcomer_takes_from_all_alike() {
        let mut usage = ScopeUsage::default();
        for number in 0..COUNTERS as u64 {
            usage.change(Some(&scope(number)), 10);
        }
        usage.change(Some(&scope(0)), 90);
        usage.change(Some(&scope(40)), 4);
        assert_eq!([0, 1, 40].map(|number| usage.of(&scope(number))), [96, 6, 0]);
        usage.change(Some(&scope(40)), 10);
        assert_eq!([0, 1, 40].map(|number| usage.of(&scope(number))), [90, 0, 4]);
        assert_eq!(usage.all(), 32 * 10 + 90 + 14);
    }

    #[test]
    fn what_is_not_counted_by_scope_is_counted_in_all() {
        let mut usage = ScopeUsage::default();
        usage.change(None, 500);
        usage.change(None, -200);
        assert_eq!(usage, ScopeUsage::new(300, Vec::new()));
    }

    #[test]
    fn no_scope_is_ever_above_the_truth_and_none_far_below_it() {
        for seed in 1..200 {
            let mut numbers = Numbers(seed);
            let (mut usage, mut truth, mut all) = (ScopeUsage::default(), HashMap::new(), 0);
            let scopes = 1 + numbers.below(400);
            for _ in 0..2_000 {
                let (scope, bytes) = (scope(numbers.skewed(scopes)), numbers.skewed(100_000));
                usage.change(Some(&scope), i64::try_from(bytes).unwrap_or(0));
                *truth.entry(scope).or_insert(0) += bytes;
                all += bytes;
                assert!(usage.scopes.len() <= COUNTERS);
            }
            assert_eq!(usage.all(), all);
            for (scope, truth) in &truth {
                let counted = usage.of(scope);
                assert!(counted <= *truth, "seed {seed}: {counted} of {truth}");
                assert!(truth - counted <= all / 33, "seed {seed}: {counted} of {truth}, in all {all}");
            }
        }
    }

    #[test]
    fn no_scope_is_ever_above_the_truth_when_records_go_as_well() {
        for seed in 1..200 {
            let mut numbers = Numbers(seed);
            let (mut usage, mut truth) = (ScopeUsage::default(), HashMap::<ScopeId, Vec<i64>>::new());
            for _ in 0..3_000 {
                let scope = scope(numbers.skewed(120));
                let records = truth.entry(scope).or_default();
                if numbers.below(5) < 3 {
                    let bytes = i64::try_from(numbers.skewed(50_000)).unwrap_or(0);
                    records.push(bytes);
                    usage.change(Some(&scope), bytes);
                } else if let Some(bytes) = records.pop() {
                    usage.change(Some(&scope), -bytes);
                }
                let truth: i64 = records.iter().sum();
                assert!(usage.of(&scope) <= truth.unsigned_abs(), "seed {seed}");
            }
            let all: i64 = truth.values().flatten().sum();
            assert_eq!(usage.all(), all.unsigned_abs());
        }
    }

    #[test]
    fn neighbours_of_one_scope_are_one_change() {
        let mut changes = UsageChanges::default();
        for (number, bytes) in [(1, 5), (1, -2), (2, 4), (1, 1)] {
            changes.add(scope(number), bytes);
        }
        assert_eq!(changes.0, [(scope(1), 3), (scope(2), 4), (scope(1), 1)]);
    }
}
