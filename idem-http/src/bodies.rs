//! How many bytes of request bodies are held at one time, over all requests of a layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::builder::Builder;

impl Builder {
    /// The bytes that the bodies of all requests with a key may hold at one time, of this layer and its clones. A body holds
    /// what has come of it, half-sent or whole, while it arrives, while its request waits for the store, for another one
    /// with its key or for a limit inside, and until its handler takes it or it ends otherwise. One that finds no room is
    /// answered with 503 and `Retry-After`, and is not executed; what it held is free at once. Default: 64 MiB, or
    /// [`max_body`](Builder::max_body) where that is more.
    ///
    /// So much memory n half-sent bodies take at most, whatever n is, and beside it about what a connection takes anyway.
    /// A sender that stalls holds its share for [`body_timeout`](Builder::body_timeout) at most. Who may send keys can fill
    /// it: limit connections and rates outside. What handlers take is theirs: limit how many run inside.
    pub fn max_bodies_bytes(mut self, bytes: usize) -> Self {
        self.options.max_bodies_bytes = Some(bytes);
        self
    }
}

/// The bound, and what is held of it.
#[derive(Debug)]
pub(crate) struct Bodies {
    most: usize,
    held: AtomicUsize,
}

impl Bodies {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Nothing is ever held beyond the bound, not for a moment.
    fn take(&self, bytes: usize) -> bool {
        let add = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

/// What one body holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    bodies: Arc<Bodies>,
    bytes: usize,
}

impl Share {
    /// Of nothing yet.
    pub(crate) fn new(bodies: &Arc<Bodies>) -> Self {
        Self { bodies: Arc::clone(bodies), bytes: 0 }
    }

    /// From now on it holds `bytes` in all, if it held less. False, and nothing changed, when there is no room.
    #[must_use]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            if !self.bodies.take(more) {
                return false;
            }
            self.bytes += more;
        }
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.bodies.held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_bound_and_go_back_whole() {
        let bodies = Arc::new(Bodies::new(100));
        let (mut one, mut other) = (Share::new(&bodies), Share::new(&bodies));
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
    fn of_many_threads_no_more_than_fit_hold_a_share() {
        let bodies = Arc::new(Bodies::new(1_000));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for turn in 0..10_000 {
                        let mut share = Share::new(&bodies);
                        let _ = share.grow_to(turn % 400);
                        assert!(bodies.held() <= 1_000);
                        let _ = share.grow_to(400);
                    }
                });
            }
        });
        assert_eq!(bodies.held(), 0);
    }
}
