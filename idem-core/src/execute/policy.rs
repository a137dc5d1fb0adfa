//! What `execute` may do, and for how long.

use std::time::Duration;

use crate::backend::limits;
use crate::error::Result;
use crate::store::Capabilities;

/// How [`StoreExt::execute`](crate::StoreExt::execute) runs the work of a key.
///
/// ```
/// use std::time::Duration;
/// use idem_core::{OnError, Policy};
///
/// let policy = Policy::new(Duration::from_secs(30), Duration::from_secs(24 * 3600))
///     .wait(Duration::from_secs(5))
///     .on_error(OnError::Keep);
/// assert_eq!(policy.lease(), Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) wait: Duration,
    pub(super) renew_for: Duration,
    pub(super) resend_for: Option<Duration>,
    pub(super) on_error: OnError,
    pub(super) peeks_first: bool,
}

/// What becomes of the key when the work answers `Err`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnError {
    /// The key is released, and the next attempt may run at once, from the last checkpoint. For errors that mean that
    /// nothing happened.
    #[default]
    Release,
    /// The key stays locked until its lease is over: a retry before that is told `InProgress`, one after it is a new
    /// attempt. For errors after which it is unclear what happened. (An error that every retry should see is a result:
    /// put it into the value.) `execute` reads the record once, in case the work had completed its key.
    Keep,
}

impl Policy {
    /// A policy with this lease and retention, that does not wait, releases on `Err`, renews the lease for up to ten
    /// times its length, and resends a store call within the default of [`resend_for`](Policy::resend_for).
    ///
    /// The limits of [`Claim`](crate::Claim) apply, and are checked when the policy is used.
    #[must_use]
    pub fn new(lease: Duration, retention: Duration) -> Self {
        Self {
            lease,
            retention,
            wait: Duration::ZERO,
            renew_for: lease.saturating_mul(10),
            resend_for: None,
            on_error: OnError::Release,
            peeks_first: true,
        }
    }

    /// Waits up to `limit` for the result of another caller that is running the work, and asks once more at the end.
    /// Default: does not wait.
    #[must_use]
    pub fn wait(self, limit: Duration) -> Self {
        Self { wait: limit, ..self }
    }

    /// Renewals extend the lease until `ceiling` after the work began and no longer, so from then on another attempt
    /// may run. A first lease that is longer than `ceiling` is not cut short.
    ///
    /// This keeps work that hangs from holding its key forever. Default: ten times the lease. Zero: the lease is never
    /// renewed while the work runs.
    #[must_use]
    pub fn renew_for(self, ceiling: Duration) -> Self {
        Self { renew_for: ceiling, ..self }
    }

    /// Gives a store call and its resends up to `limit` altogether. All calls before the work count as one: the `lock`,
    /// and the renewals of a lease whose answer came late. They have the whole time again after each wait for another
    /// caller. Default: two and a half times the longest that the store takes for one call
    /// ([`call_timeout`](Capabilities::call_timeout)), at least 10 s. So a call that timed out is sent once more and
    /// has its whole time. With a limit below the store's own time for one call, a slow call is given up and never sent
    /// again. With zero, only a store in memory can answer at all.
    #[must_use]
    pub fn resend_for(self, limit: Duration) -> Self {
        Self { resend_for: Some(limit), ..self }
    }

    /// How long a call and its resends may take altogether on a store of these capabilities: what
    /// [`resend_for`](Policy::resend_for) says, or its default.
    #[must_use]
    pub fn resend_limit(&self, capabilities: &Capabilities) -> Duration {
        const LEAST: Duration = Duration::from_secs(10);
        self.resend_for.unwrap_or_else(|| {
            capabilities.call_timeout.map_or(LEAST, |once| (once.saturating_mul(5) / 2).max(LEAST))
        })
    }

    /// Whether to look for a replay in the store's memory ([`Store::peek`](crate::Store::peek)) before the key is
    /// locked. Default: yes. Callers who have just looked, by [`peek_replay`](crate::StoreExt::peek_replay), say no.
    #[must_use]
    pub fn peek_first(self, looks: bool) -> Self {
        Self { peeks_first: looks, ..self }
    }

    /// What becomes of the key when the work answers `Err`. Default: [`OnError::Release`].
    #[must_use]
    pub fn on_error(self, on_error: OnError) -> Self {
        Self { on_error, ..self }
    }

    /// Refuses a policy that `lock` would refuse.
    pub(super) fn check(&self) -> Result<()> {
        limits::check_claim(self.lease, self.retention)
    }

    /// How long a holder may be silent.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// How long a completed outcome is replayed.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.retention
    }
}
