//! How many bytes of request bodies are held at one time, over all requests of a layer.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use idem_core::{Key, Scope};

/// The number of slots in which scopes are counted. Two scopes in one slot count as one, so a flood of one scope also
/// stops about one in this many of the others.
const SLOTS: usize = 1_024;
/// One scope may hold this many times what is free: nine tenths of the bound while no other scope holds any.
const SCOPE_PER_FREE: usize = 9;

/// The bound on the bytes of all bodies, and how many are held.
pub(crate) struct BodyBudget {
    limit: usize,
    /// A body of up to this size is admitted when its scope holds no other.
    max_body: usize,
    held: AtomicUsize,
    by_scope: Box<[AtomicUsize]>,
    /// Seeded at random, so that nobody can choose whose slot to share.
    slots: RandomState,
    shared: [u8; Scope::PREFIX_LEN],
}

impl BodyBudget {
    pub(crate) fn new(limit: usize, max_body: usize) -> Self {
        Self {
            limit,
            max_body,
            held: AtomicUsize::new(0),
            by_scope: (0..SLOTS).map(|_| AtomicUsize::new(0)).collect(),
            slots: RandomState::new(),
            shared: Scope::shared().prefix(),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The share of one body, which holds nothing yet.
    pub(crate) fn share_of(self: &Arc<Self>, key: &Key) -> BodyShare {
        BodyShare { budget: Arc::clone(self), slot: self.slot_of(key), bytes: 0 }
    }

    /// `None` for the shared scope, whose callers have nothing in common.
    fn slot_of(&self, key: &Key) -> Option<usize> {
        let scope = key.scope_prefix();
        if scope == self.shared {
            return None;
        }
        usize::try_from(self.slots.hash_one(scope) % SLOTS as u64).ok()
    }

    fn held_by(&self, slot: Option<usize>) -> Option<&AtomicUsize> {
        self.by_scope.get(slot?)
    }

    /// Reserves `bytes` more for a body that holds `own` already. The sum never exceeds the bound, not for a moment.
    fn reserve(&self, slot: Option<usize>, own: usize, bytes: usize) -> bool {
        let slot = self.held_by(slot);
        if bytes > self.limit {
            return false;
        }
        if let Some(slot) = slot {
            let of_scope = slot.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let free = self.limit.saturating_sub(self.held() + bytes);
            let is_alone = of_scope == own + bytes && of_scope <= self.max_body;
            if of_scope > free.saturating_mul(SCOPE_PER_FREE) && !is_alone {
                slot.fetch_sub(bytes, Ordering::Relaxed);
                return false;
            }
        }
        let add = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.limit);
        let is_reserved = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        if let (Some(slot), false) = (slot, is_reserved) {
            slot.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_reserved
    }

    fn release(&self, slot: Option<usize>, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(slot) = self.held_by(slot) {
            slot.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The bytes that one body holds of the budget, until it is dropped.
pub(crate) struct BodyShare {
    budget: Arc<BodyBudget>,
    slot: Option<usize>,
    bytes: usize,
}

impl BodyShare {
    /// Grows to `bytes` in all, unless the share holds that many already. False, with nothing changed, when there is no
    /// room.
    #[must_use]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            if !self.budget.reserve(self.slot, self.bytes, more) {
                return false;
            }
            self.bytes += more;
        }
        true
    }
}

impl fmt::Debug for BodyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyShare({} bytes)", self.bytes)
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.release(self.slot, self.bytes);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn budget_of(limit: usize, max_body: usize) -> Arc<BodyBudget> {
        Arc::new(BodyBudget::new(limit, max_body))
    }

    fn shared(budget: &Arc<BodyBudget>) -> BodyShare {
        budget.share_of(&Key::new(&Scope::shared(), "k").unwrap())
    }

    fn share(budget: &Arc<BodyBudget>, scope: &str) -> BodyShare {
        budget.share_of(&Key::new(&Scope::new(scope).unwrap(), "k").unwrap())
    }

    /// Takes shares of 10 bytes until there is no room.
    fn flood(budget: &Arc<BodyBudget>, scope: &str) -> Vec<BodyShare> {
        let tens = std::iter::repeat_with(|| {
            let mut share = share(budget, scope);
            share.grow_to(10).then_some(share)
        });
        tens.map_while(|share| share).collect()
    }

    /// A scope that is counted in another slot than `one`.
    fn in_another_slot(budget: &Arc<BodyBudget>, one: &str) -> String {
        let slot = |scope: &str| share(budget, scope).slot.unwrap();
        (0..1_000).map(|number: u32| number.to_string()).find(|other| slot(other) != slot(one)).unwrap()
    }

    #[test]
    fn shares_never_exceed_the_bound_and_go_back_whole() {
        let budget = budget_of(100, 100);
        let (mut one, mut other) = (shared(&budget), shared(&budget));
        assert!(one.grow_to(60) && one.grow_to(40));
        assert!(!other.grow_to(41) && !other.grow_to(usize::MAX));
        assert_eq!(budget.held(), 60);
        assert!(other.grow_to(40));
        assert!(!one.grow_to(61) && one.grow_to(60));
        drop(one);
        assert_eq!(budget.held(), 40);
        drop(other);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_scope_that_floods_leaves_a_tenth_to_the_others() {
        let budget = budget_of(1_000, 50);
        let flooded = flood(&budget, "one");
        assert_eq!(budget.held(), 900);
        let other = in_another_slot(&budget, "one");
        let others = flood(&budget, &other);
        assert_eq!(budget.held(), 990);
        drop(flooded);
        drop(others);
        assert_eq!(flood(&budget, "one").len(), 90);
        assert_eq!(budget.held(), 0);
        // The shared scope, of an application with one tenant, may take everything.
        assert!(shared(&budget).grow_to(1_000));
    }

    #[test]
    fn a_scope_may_hold_one_body_of_the_largest_whatever_the_bound() {
        let budget = budget_of(100, 100);
        assert!(share(&budget, "one").grow_to(100));
        assert!(!share(&budget, "one").grow_to(101));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn shares_of_many_threads_never_exceed_the_bound() {
        let budget = budget_of(1_000, 400);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let budget = &budget;
                scope.spawn(move || {
                    for turn in 0..10_000 {
                        let mut share = share(budget, ["one", "other"][thread % 2]);
                        let _ = share.grow_to(turn % 400);
                        assert!(budget.held() <= 1_000);
                        let _ = share.grow_to(400);
                    }
                });
            }
        });
        assert_eq!(budget.held(), 0);
        assert!(budget.by_scope.iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
    }
}
