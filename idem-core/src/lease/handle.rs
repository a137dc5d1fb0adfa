//! The lease, as its holder sees it and as a store updates it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::claim::{Claim, Grant};
use crate::clock::SharedClock;
use crate::identity::{Fingerprint, Key, Token};
use crate::record::Checkpoint;

use super::sent::Sent;

/// The right to run the work of a key, and everything a holder needs to keep, use and end it.
///
/// Clones are the same lease: what is done through one of them, all of them show. Its validity is counted from *before*
/// the call that got it was sent, by the holder's own monotonic clock. So a slow answer makes the lease shorter, never
/// longer.
#[derive(Clone)]
pub struct Lease(Arc<Shared>);

struct Shared {
    key: Key,
    fingerprint: Fingerprint,
    token: Token,
    attempt: u32,
    checkpoint: Option<Checkpoint>,
    retention: Duration,
    clock: SharedClock,
    /// Microseconds on the clock's monotonic reading.
    valid_until: AtomicU64,
    completed: AtomicBool,
    lost: AtomicBool,
    unavailable: AtomicBool,
}

impl Lease {
    /// The key that is held.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.0.key
    }

    /// What the request asked for.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// The fencing token, to be passed along with effects on other systems.
    #[must_use]
    pub fn token(&self) -> Token {
        self.0.token
    }

    /// Which attempt this is. The first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The checkpoint that the store had when the lease was granted. It is that of the attempt before, or, when a
    /// `lock` was sent again, perhaps one that this attempt saved itself.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.0.checkpoint.as_ref()
    }

    /// The retention that the claim asked for.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.0.retention
    }

    /// How long the lease is valid, by the holder's own clock; zero once it may be over, or is lost.
    ///
    /// This is as reliable as that clock: one that stops while the machine sleeps, or runs slower than the store's,
    /// shows too much. What must not happen twice needs the fencing [`token`](Lease::token) as well.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        if self.is_lost() {
            return Duration::ZERO;
        }
        let valid_until = self.0.valid_until.load(Ordering::Acquire);
        Duration::from_micros(valid_until).saturating_sub(self.0.clock.monotonic())
    }

    /// Whether a store has told this holder that the lease is lost. What the work does from then on may be done twice,
    /// and its result will be refused: stop where that is possible.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }

    /// Whether a store has told this holder that the key is completed.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.0.completed.load(Ordering::Acquire)
    }

    /// Whether [`execute`](crate::StoreExt::execute) had to complete the key without this attempt's result, because the
    /// store refused it as too large or had no room for it. Retries are told that the result is not available.
    #[must_use]
    pub fn is_result_unavailable(&self) -> bool {
        self.0.unavailable.load(Ordering::Acquire)
    }

    pub(crate) fn new(key: Key, fingerprint: Fingerprint, claim: &Claim, grant: Grant, sent: &Sent) -> Self {
        Self(Arc::new(Shared {
            key,
            fingerprint,
            token: grant.token,
            attempt: grant.attempt,
            checkpoint: grant.checkpoint,
            retention: claim.retention,
            valid_until: AtomicU64::new(sent.until(grant.valid_for)),
            clock: sent.clock().clone(),
            completed: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            unavailable: AtomicBool::new(false),
        }))
    }

    pub(crate) fn set_result_unavailable(&self) {
        self.0.unavailable.store(true, Ordering::Release);
    }

    pub(crate) fn set_completed(&self) {
        self.0.completed.store(true, Ordering::Release);
    }

    pub(crate) fn set_lost(&self) {
        self.0.lost.store(true, Ordering::Release);
    }

    /// Valid for `duration` from `sent` at least.
    pub(crate) fn extend(&self, duration: Duration, sent: &Sent) {
        self.0.valid_until.fetch_max(sent.until(duration), Ordering::AcqRel);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.0.key)
            .field("token", &self.0.token)
            .field("attempt", &self.0.attempt)
            .field("checkpoint", &self.0.checkpoint)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
