//! The right to run the work of a key: what a holder has in its hands, and what a store tells it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{micros, ticks};
use crate::decide::Call;
use crate::{Checkpoint, Claim, Fenced, Fingerprint, Key, LostReason, Record, SharedClock, State, Token};

/// The right to run the work of a key, and everything a holder needs to keep, use and end it.
///
/// Clones are the same lease: what one of them renews or completes, all of them know. How long it is valid
/// is counted from *before* the call that got it was sent, by the holder's own monotonic clock, so a slow
/// answer makes it shorter, never longer.
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

    /// Which attempt this is, the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The recovery point that the store had when the lease was granted: that of the attempt before, or, when
    /// a `lock` was sent again, perhaps one that this attempt saved itself.
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
    /// As sure as that clock: one that stands still while the machine sleeps, or runs slower than the store's,
    /// shows too much. An effect that must not happen twice needs the fencing [`token`](Lease::token) as well.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        if self.is_lost() {
            return Duration::ZERO;
        }
        let valid_until = self.0.valid_until.load(Ordering::Acquire);
        Duration::from_micros(valid_until).saturating_sub(self.0.clock.monotonic())
    }

    /// Whether a store has told this holder that the lease is lost. Then what the work does from here on may
    /// be done twice, and its result will be refused: stop where that is possible.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }

    /// Whether a store has told this holder that the key is completed.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.0.completed.load(Ordering::Acquire)
    }

    /// Whether [`execute`](crate::StoreExt::execute) had to complete the key without this attempt's result, which the store
    /// takes for too large or has no room for: its retries are told that it is not available.
    #[must_use]
    pub fn is_result_unavailable(&self) -> bool {
        self.0.unavailable.load(Ordering::Acquire)
    }

    pub(crate) fn set_result_unavailable(&self) {
        self.0.unavailable.store(true, Ordering::Release);
    }
}

/// For those who write a store.
impl Lease {
    /// A lease as a store grants it for a `lock` that was sent at `sent`.
    #[must_use]
    pub fn granted(key: Key, fingerprint: Fingerprint, claim: &Claim, grant: Grant, sent: &Sent) -> Self {
        Self(Arc::new(Shared {
            key,
            fingerprint,
            token: grant.token,
            attempt: grant.attempt,
            checkpoint: grant.checkpoint,
            retention: claim.retention,
            valid_until: AtomicU64::new(sent.until(grant.valid_for)),
            clock: sent.clock.clone(),
            completed: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            unavailable: AtomicBool::new(false),
        }))
    }

    /// The lease of an attempt whose answer was lost, rebuilt from its record; `None` unless `claim`'s owner
    /// holds it. It counts as over: good for ending the attempt, not for working under it.
    #[must_use]
    pub fn recovered(key: Key, record: &Record, claim: &Claim, sent: &Sent) -> Option<Self> {
        let State::Locked(locked) = &record.state else { return None };
        let held = locked.held && record.token.owner == claim.owner;
        held.then(|| {
            let grant = Grant {
                token: record.token,
                attempt: record.attempt,
                checkpoint: locked.checkpoint.clone(),
                valid_for: Duration::ZERO,
            };
            Self::granted(key, record.fingerprint, claim, grant, sent)
        })
    }
}

/// How a store tells a [`Lease`] what it answered to the holder. For those who write a store; work that runs under the
/// lease has no use for it, which is why it has to be imported from [`backend`](crate::backend).
pub trait LeaseControl {
    /// Tells the lease how `call`, sent under it at `sent`, was answered; `wrote`: whether it changed the record.
    ///
    /// Every store calls it after each holder's call, whatever the answer: nothing else tells a lease that it is
    /// longer, lost or completed, [`execute`](crate::StoreExt::execute) included. So what a lease knows of itself is the
    /// same on every store.
    ///
    /// A checkpoint that was answered `Applied` with nothing written, because a higher step is stored, made the lease no
    /// longer: hence `wrote`.
    fn answered(&self, call: &Call, fenced: Fenced, wrote: bool, sent: &Sent);
}

impl LeaseControl for Lease {
    fn answered(&self, call: &Call, fenced: Fenced, wrote: bool, sent: &Sent) {
        match (fenced, call) {
            (Fenced::Lost(LostReason::Completed), _) | (Fenced::Applied, Call::Complete { .. }) => {
                self.0.completed.store(true, Ordering::Release);
            }
            (Fenced::Lost(_), _) => self.0.lost.store(true, Ordering::Release),
            (Fenced::Applied, Call::Renew { duration, .. } | Call::Checkpoint { duration, .. }) if wrote => {
                self.0.valid_until.fetch_max(sent.until(*duration), Ordering::AcqRel);
            }
            (Fenced::Applied, _) => {}
        }
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

/// What a store grants to an acquired `lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who holds the key from now on.
    pub token: Token,
    /// Which attempt this is, the first is 1.
    pub attempt: u32,
    /// The recovery point on record.
    pub checkpoint: Option<Checkpoint>,
    /// What is left of the lease when the store decided.
    pub valid_for: Duration,
}

/// The moment before a call was sent, by the caller's monotonic clock.
#[derive(Debug, Clone)]
pub struct Sent {
    clock: SharedClock,
    at: Duration,
}

impl Sent {
    /// Now.
    #[must_use]
    pub fn now(clock: &SharedClock) -> Self {
        Self { at: clock.monotonic(), clock: clock.clone() }
    }

    /// How long ago that was.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.at)
    }

    pub(crate) fn reading(&self) -> Duration {
        self.at
    }

    fn until(&self, duration: Duration) -> u64 {
        ticks(self.at).saturating_add(micros(duration))
    }
}
