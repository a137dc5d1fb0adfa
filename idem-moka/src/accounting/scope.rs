//! What each scope holds, and how much it may hold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use idem_core::{Key, Scope};

use crate::accounting::held::Held;
use crate::hash::{BuildPrehashed, Hashed, KeyHash};

/// The first bytes of all storage keys of one scope.
type ScopeId = [u8; Scope::PREFIX_LEN];

/// Enough parts that scopes in use at the same time rarely share one.
const PARTS: usize = 64;

/// What each scope holds, for as long as it holds something.
///
/// Keyed by the digest that storage keys begin with. The shared scope is recognised by its digest and not counted,
/// since an application that uses it has one tenant.
pub(crate) struct Scopes {
    parts: Box<[RwLock<Part>]>,
    hash: KeyHash,
    shared: ScopeId,
    /// What a scope may hold for each unit that is free; `None`: without limit.
    held_per_free: Option<f64>,
}

type Part = HashMap<Hashed<ScopeId>, Arc<ScopeUsage>, BuildPrehashed>;

/// The scope that a record is counted in; `None` where scopes are not counted.
pub(crate) type CountedIn = Option<Arc<ScopeUsage>>;

/// What one scope holds.
#[derive(Debug)]
pub(crate) struct ScopeUsage {
    id: Hashed<ScopeId>,
    pub(crate) held: Held,
}

impl Scopes {
    /// Scopes that may hold `share` of a store each (above 0, at most 1).
    pub(crate) fn new(share: f64) -> Self {
        let held_per_free = (share < 1.0).then(|| share / (1.0 - share));
        Self {
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            hash: KeyHash::new(),
            shared: Scope::shared().prefix(),
            held_per_free,
        }
    }

    /// Counts a new locked record of `key`'s scope. `last` caches the scope that was last counted in the same
    /// shard, which is usually the same.
    pub(crate) fn lock(&self, key: &Key, last: &mut CountedIn) -> CountedIn {
        self.held_per_free?;
        let id = key.scope_prefix();
        if self.shared == id {
            return None;
        }
        match last {
            Some(scope) if *scope.id.key() == id && scope.held.lock() => {}
            _ => *last = Some(self.find(self.hash.hashed_scope(id))),
        }
        last.clone()
    }

    fn find(&self, id: Hashed<ScopeId>) -> Arc<ScopeUsage> {
        let part = self.part(&id);
        if let Some(scope) = part.read().unwrap_or_else(PoisonError::into_inner).get(&id)
            && scope.held.lock()
        {
            return Arc::clone(scope);
        }
        let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
        let scope = part.entry(id).or_insert_with(|| Arc::new(ScopeUsage { id, held: Held::default() }));
        // Never closed at this point: closing and removing are one step under this lock.
        scope.held.lock();
        Arc::clone(scope)
    }

    /// Whether a scope that holds `held` of something leaves enough of it free.
    ///
    /// A dynamic threshold, as Choudhury and Hahne use it for shared buffers: what a scope may hold follows what is
    /// free. A single scope gets its share of the whole, several scopes that take all they can get less each, and there
    /// is always something left for the next one.
    #[expect(clippy::cast_precision_loss, reason = "a bound of some 2^44 bytes, to 53 bits")]
    pub(crate) fn within_share(&self, held: u64, free: u64) -> bool {
        self.held_per_free.is_none_or(|ratio| held as f64 <= ratio * free as f64)
    }

    /// Subtracts a locked record with `checkpoint` bytes.
    pub(crate) fn unlock(&self, scope: &ScopeUsage, checkpoint: u64) {
        if scope.held.unlock(checkpoint) {
            self.remove_if_empty(scope);
        }
    }

    /// Subtracts a completed record with `outcome` bytes.
    pub(crate) fn forget(&self, scope: &ScopeUsage, outcome: u64) {
        if scope.held.forget(outcome) {
            self.remove_if_empty(scope);
        }
    }

    #[cold]
    fn remove_if_empty(&self, scope: &ScopeUsage) {
        const WORTH_IT: usize = 64;
        let mut part = self.part(&scope.id).write().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(found) = part.entry(scope.id)
            && found.get().held.close()
        {
            found.remove();
        }
        let room = part.capacity();
        if room > WORTH_IT && part.len() < room / 8 {
            part.shrink_to(room / 4);
        }
    }

    fn part(&self, id: &Hashed<ScopeId>) -> &RwLock<Part> {
        &self.parts[id.hash_value().spread(PARTS)]
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scopes").field("held_per_free", &self.held_per_free).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Scopes {
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Asserts that the scopes together hold what the store holds. No call may run meanwhile.
    pub(crate) fn assert_sums(&self, stats: &crate::MokaStats) {
        let (mut locks, mut records, mut bytes) = (0, 0, 0);
        for part in &self.parts {
            for scope in part.read().unwrap_or_else(PoisonError::into_inner).values() {
                assert!(scope.held.records() > 0, "{scope:?} holds nothing");
                locks += scope.held.locks();
                records += scope.held.records();
                bytes += scope.held.bytes();
            }
        }
        assert_eq!((locks, records - locks, bytes), (stats.locks, stats.completed, stats.bytes));
    }
}
