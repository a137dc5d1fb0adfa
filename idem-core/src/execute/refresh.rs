//! Renewing a lease before any work begins under it.

use super::policy::Policy;
use super::resend::{Asking, resend};
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::lease::Lease;
use crate::store::Store;

/// The state of a lease that was nearly over, after renewing it.
pub(super) enum Refreshed {
    /// It is live: work may begin.
    Live,
    /// It is lost: nothing has run under it, and nothing may.
    Lost,
}

/// Renews `lease` until it is live by the holder's own count.
///
/// The answer to `lock` may come so late that the lease is nearly over, or over and another caller has taken over. Work
/// that began then would run twice at once.
///
/// # Errors
/// The store's. [`ErrorKind::Timeout`] when all its answers take longer than the lease lasts, until the time of
/// `asking` is over.
pub(super) async fn refresh<S: Store + ?Sized>(
    asking: &mut Asking<'_, S>,
    store: &S,
    lease: &Lease,
    policy: &Policy,
) -> Result<Refreshed> {
    loop {
        let renewal = resend(asking, Operation::Renew, || store.renew(lease, policy.lease));
        match renewal.await? {
            Effect::Lost(_) => return Ok(Refreshed::Lost),
            Effect::Applied if !lease.remaining().is_zero() => return Ok(Refreshed::Live),
            Effect::Applied if !asking.left().is_zero() => {}
            Effect::Applied => return Err(too_slow(policy)),
        }
    }
}

/// Asking again does not help: every answer comes after its lease has ended.
pub(super) fn too_slow(policy: &Policy) -> Error {
    let message = format!(
        "the store takes longer to answer than the lease lasts ({:?}), so no work can begin: nothing was run",
        policy.lease
    );
    Error::new(ErrorKind::Timeout, Operation::Lock, message)
}
