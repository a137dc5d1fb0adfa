//! How many bytes of request bodies are held at one time, over all requests of a layer.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use idem_core::{Key, Scope};

use crate::builder::IdempotencyLayerBuilder;

impl IdempotencyLayerBuilder {
    /// The bytes that the bodies of all requests with a key may hold at one time, of this layer and its clones. A body holds
    /// what has come of it, half-sent or whole, while it arrives, while its request waits for the store, for another one
    /// with its key or for a limit inside, and until its handler takes it or it ends otherwise. One that finds no room is
    /// answered with 503 and `Retry-After`, and is not executed; what it held is free at once. Default: 64 MiB, or
    /// twice [`max_body`](IdempotencyLayerBuilder::max_body) where that is more.
    ///
    /// The bound holds however many bodies are half-sent. Not counted are the copy of a body whose buffer is just
    /// growing, and the buffers that the server reads into, which the head of a request keeps alive as long as the
    /// request.
    ///
    /// A sender that stalls holds its bytes for [`body_timeout`](IdempotencyLayerBuilder::body_timeout) at most. One scope may hold nine
    /// times what is still free, and always one body of `max_body`, so that its flood leaves a tenth to the others. The
    /// shared scope may hold all. What a handler has taken is not counted: limit how many run inside.
    pub fn max_bodies_bytes(mut self, bytes: usize) -> Self {
        self.options.max_bodies_bytes = Some(bytes);
        self
    }
}

/// Scopes are counted in so many slots. Two in one slot count as one: a flood then stops one scope of so many, too.
const SLOTS: usize = 1_024;
/// One scope may hold this many times what is free: nine tenths of the bound while no other scope holds any.
const SCOPE_PER_FREE: usize = 9;

/// The bound, and what is held of it.
pub(crate) struct BodyBudget {
    most: usize,
    /// A body of this size has room where its scope holds no other.
    largest: usize,
    held: AtomicUsize,
    by_scope: Box<[AtomicUsize]>,
    /// By chance, so that nobody can choose whose slot to share.
    slots: RandomState,
    shared: [u8; Scope::PREFIX_LEN],
}

impl BodyBudget {
    pub(crate) fn new(most: usize, largest: usize) -> Self {
        Self {
            most,
            largest,
            held: AtomicUsize::new(0),
            by_scope: (0..SLOTS).map(|_| AtomicUsize::new(0)).collect(),
            slots: RandomState::new(),
            shared: Scope::shared().prefix(),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Of nothing yet.
    pub(crate) fn share_of(self: &Arc<Self>, key: &Key) -> BodyShare {
        BodyShare { bodies: Arc::clone(self), slot: self.slot_of(key), bytes: 0 }
    }

    /// None of the shared scope, whose callers are nobody's in particular.
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

    /// Nothing is ever held beyond the bound, not for a moment.
    /// `own`: what the body holds already.
    fn take(&self, slot: Option<usize>, own: usize, bytes: usize) -> bool {
        let slot = self.held_by(slot);
        if bytes > self.most {
            return false;
        }
        if let Some(slot) = slot {
            let of_scope = slot.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let free = self.most.saturating_sub(self.held() + bytes);
            let is_alone = of_scope == own + bytes && of_scope <= self.largest;
            if of_scope > free.saturating_mul(SCOPE_PER_FREE) && !is_alone {
                slot.fetch_sub(bytes, Ordering::Relaxed);
                return false;
            }
        }
        let add = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.most);
        let is_taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        if let (Some(slot), false) = (slot, is_taken) {
            slot.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_taken
    }

    fn give_back(&self, slot: Option<usize>, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(slot) = self.held_by(slot) {
            slot.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// What one body holds, until it is dropped.
pub(crate) struct BodyShare {
    bodies: Arc<BodyBudget>,
    slot: Option<usize>,
    bytes: usize,
}

impl BodyShare {
    /// From now on it holds `bytes` in all, if it held less. False, and nothing changed, when there is no room.
    #[must_use]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            if !self.bodies.take(self.slot, self.bytes, more) {
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
            self.bodies.give_back(self.slot, self.bytes);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn bodies(most: usize, largest: usize) -> Arc<BodyBudget> {
        Arc::new(BodyBudget::new(most, largest))
    }

    fn shared(bodies: &Arc<BodyBudget>) -> BodyShare {
        bodies.share_of(&Key::new(&Scope::shared(), "k").unwrap())
    }

    fn share(bodies: &Arc<BodyBudget>, scope: &str) -> BodyShare {
        bodies.share_of(&Key::new(&Scope::new(scope).unwrap(), "k").unwrap())
    }

    /// Takes tens until there is no room.
    fn flood(bodies: &Arc<BodyBudget>, scope: &str) -> Vec<BodyShare> {
        let tens = std::iter::repeat_with(|| {
            let mut share = share(bodies, scope);
            share.grow_to(10).then_some(share)
        });
        tens.map_while(|share| share).collect()
    }

    /// A scope that is counted in another slot than `one`.
    fn another(bodies: &Arc<BodyBudget>, one: &str) -> String {
        let slot = |scope: &str| share(bodies, scope).slot.unwrap();
        (0..1_000).map(|number: u32| number.to_string()).find(|other| slot(other) != slot(one)).unwrap()
    }

    #[test]
    fn shares_never_exceed_the_bound_and_go_back_whole() {
        let bodies = bodies(100, 100);
        let (mut one, mut other) = (shared(&bodies), shared(&bodies));
        assert!(one.grow_to(60) && one.grow_to(40));
        assert!(!other.grow_to(41) && !other.grow_to(usize::MAX));
        assert_eq!(bodies.held(), 60);
        assert!(other.grow_to(40));
        assert!(!one.grow_to(61) && one.grow_to(60));
        drop(one);
        assert_eq!(bodies.held(), 40);
        drop(other);
        assert_eq!(bodies.held(), 0);
    }

    #[test]
    fn a_scope_that_floods_leaves_a_tenth_to_the_others() {
        let bodies = bodies(1_000, 50);
        let flooded = flood(&bodies, "one");
        assert_eq!(bodies.held(), 900);
        let other = another(&bodies, "one");
        let others = flood(&bodies, &other);
        assert_eq!(bodies.held(), 990);
        drop(flooded);
        drop(others);
        assert_eq!(flood(&bodies, "one").len(), 90);
        assert_eq!(bodies.held(), 0);
        // Of an application with one tenant it may be all.
        assert!(shared(&bodies).grow_to(1_000));
    }

    #[test]
    fn a_scope_may_hold_one_body_of_the_largest_whatever_the_bound() {
        let bodies = bodies(100, 100);
        assert!(share(&bodies, "one").grow_to(100));
        assert!(!share(&bodies, "one").grow_to(101));
        assert_eq!(bodies.held(), 0);
    }

    #[test]
    fn of_many_threads_no_more_than_fit_hold_a_share() {
        let bodies = bodies(1_000, 400);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let bodies = &bodies;
                scope.spawn(move || {
                    for turn in 0..10_000 {
                        let mut share = share(bodies, ["one", "other"][thread % 2]);
                        let _ = share.grow_to(turn % 400);
                        assert!(bodies.held() <= 1_000);
                        let _ = share.grow_to(400);
                    }
                });
            }
        });
        assert_eq!(bodies.held(), 0);
        assert!(bodies.by_scope.iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
    }
}
