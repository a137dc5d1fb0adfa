//! What the callers of one connection are about: whether there are others, and whether they retry.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// How many more locks than others must have found their key on record: see [`Finds`].
const MANY_FINDS: u32 = 32;

/// Whether locks find keys on record more often than not, of late: clients retry. Then the keys are only looked at
/// first, many by one plain command. A script would copy each outcome twice on its way out, which takes the server
/// longer than the calls that it saves. The few that are not on record take a second round trip meanwhile.
#[derive(Default)]
pub(crate) struct Finds(AtomicU32);

impl Finds {
    pub(crate) fn are_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MANY_FINDS
    }

    /// Two at once may count as one.
    pub(crate) fn note(&self, found: bool) {
        let count = self.0.load(Ordering::Relaxed);
        let next = if found { (count + 1).min(2 * MANY_FINDS) } else { count.saturating_sub(1) };
        if next != count {
            self.0.store(next, Ordering::Relaxed);
        }
    }
}

/// One caller among others, until it is dropped.
pub(crate) struct Counted<'a> {
    callers: &'a AtomicUsize,
    pub(crate) is_alone: bool,
}

impl<'a> Counted<'a> {
    pub(crate) fn among(callers: &'a AtomicUsize) -> Self {
        Self { callers, is_alone: callers.fetch_add(1, Ordering::Relaxed) == 0 }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.callers.fetch_sub(1, Ordering::Relaxed);
    }
}
