//! How a store makes leases, and updates them by its answers.

use std::time::Duration;

use super::decide::Call;
use crate::claim::{Claim, Grant};
use crate::effect::{Effect, LostReason};
use crate::error::Operation;
use crate::identity::{Fingerprint, Key};
use crate::lease::{Lease, Sent};
use crate::record::{Record, State};

/// How a store makes a [`Lease`], and tells the lease what it answered to the holder. For those who write a store. Work
/// that runs under the lease must not call it, so it has to be imported from [`backend`](crate::backend).
pub trait LeaseControl: Sized {
    /// A lease as a store grants it for a `lock` that was sent at `sent`.
    #[must_use]
    fn granted(key: Key, fingerprint: Fingerprint, claim: &Claim, grant: Grant, sent: &Sent) -> Self;

    /// The lease of an attempt whose answer was lost, rebuilt from its record; `None` unless `claim`'s owner holds it.
    /// The lease counts as over: it can end the attempt, and no work may run under it.
    #[must_use]
    fn recovered(key: Key, record: &Record, claim: &Claim, sent: &Sent) -> Option<Self>;

    /// Tells the lease how `call`, sent under it at `sent`, was answered. `wrote` says whether the call changed the
    /// record.
    ///
    /// Every store calls this after each holder's call, whatever the answer. Nothing else tells a lease that it is
    /// longer, lost or completed, not even [`execute`](crate::StoreExt::execute). So a lease shows the same on every
    /// store.
    ///
    /// `wrote` is needed because a checkpoint may be answered `Applied` with nothing written, when the stored step is
    /// at least as high: that does not extend the lease.
    fn answered(&self, call: &Call, effect: Effect, wrote: bool, sent: &Sent);
}

impl LeaseControl for Lease {
    fn granted(key: Key, fingerprint: Fingerprint, claim: &Claim, grant: Grant, sent: &Sent) -> Self {
        Self::new(key, fingerprint, claim, grant, sent)
    }

    fn recovered(key: Key, record: &Record, claim: &Claim, sent: &Sent) -> Option<Self> {
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

    fn answered(&self, call: &Call, effect: Effect, wrote: bool, sent: &Sent) {
        Asked::of(call).tell(self, effect, wrote, sent);
    }
}

/// What a lease needs to know of a call that was made under it: no bytes.
pub(super) struct Asked {
    pub(super) operation: Operation,
    /// How long the lease lasts from the call on, of one that renews it.
    renewed_for: Option<Duration>,
}

impl Asked {
    pub(super) fn of(call: &Call) -> Self {
        let renewed_for = match call {
            Call::Renew { duration, .. } | Call::Checkpoint { duration, .. } => Some(*duration),
            Call::Lock { .. } | Call::Complete { .. } | Call::Release { .. } | Call::Remove { .. } => None,
        };
        Self { operation: call.operation(), renewed_for }
    }

    pub(super) fn tell(&self, lease: &Lease, effect: Effect, wrote: bool, sent: &Sent) {
        match effect {
            Effect::Lost(LostReason::Completed) => lease.set_completed(),
            Effect::Lost(_) => lease.set_lost(),
            Effect::Applied if self.operation == Operation::Complete => lease.set_completed(),
            Effect::Applied => {
                if let Some(duration) = self.renewed_for.filter(|_| wrote) {
                    lease.extend(duration, sent);
                }
            }
        }
    }
}
