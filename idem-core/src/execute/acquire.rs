//! Getting the lease, or the answer that makes it needless.

use std::time::Duration;

use tokio::time::timeout;

use super::policy::Policy;
use super::refresh::{Refreshed, refresh, too_slow};
use super::resend::{Asking, resend};
use crate::backend::LeaseControl;
use crate::claim::Claim;
use crate::clock::SystemClock;
use crate::error::{Operation, Result};
use crate::identity::{Fingerprint, Key, Owner};
use crate::lease::{Lease, LockAnswer, Sent};
use crate::record::Replay;
use crate::store::{SettledWait, Store};

/// How long it may take to release a lease whose caller has given up.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the work may run.
pub(super) enum Acquisition {
    /// It may, under this live lease.
    Acquired(Lease, Claim),
    InProgress(Duration),
    Completed(Replay),
    FingerprintMismatch,
}

/// Locks `key`, waiting for the result in flight as long as the policy says.
pub(super) async fn acquire<S: Store + ?Sized>(
    store: &S,
    key: &Key,
    fingerprint: &Fingerprint,
    policy: &Policy,
) -> Result<Acquisition> {
    let mut claim = policy.claim()?;
    let mut waiting = SettledWait::new(policy.wait);
    // One time limit for all calls before the work. Waiting for another caller does not count, since the store does not
    // cause it.
    let mut asking = Asking::new(store, policy);
    loop {
        let lock = resend(&mut asking, Operation::Lock, || store.lock(key, fingerprint, &claim)).await;
        if lock.as_ref().is_err_and(|error| error.kind().is_transient()) {
            // Cold path, here and below: boxed to keep the future of every caller small.
            Box::pin(release_unknown(store, key, &claim)).await;
        }
        let remaining = match lock? {
            LockAnswer::Acquired(lease) if lease.remaining() >= policy.lease / 2 => {
                return Ok(Acquisition::Acquired(lease, claim));
            }
            LockAnswer::Acquired(lease) => {
                match Box::pin(refresh(&mut asking, store, &lease, policy)).await {
                    Ok(Refreshed::Live) => return Ok(Acquisition::Acquired(lease, claim)),
                    // This attempt lost its lease before the work began. The next attempt needs an owner of its own.
                    Ok(Refreshed::Lost) if !asking.left().is_zero() => {
                        claim = policy.claim()?;
                        continue;
                    }
                    Ok(Refreshed::Lost) => return Err(too_slow(policy)),
                    Err(error) => {
                        Box::pin(release(store, &lease)).await;
                        return Err(error);
                    }
                }
            }
            LockAnswer::Completed(replay) => return Ok(Acquisition::Completed(replay)),
            LockAnswer::FingerprintMismatch => return Ok(Acquisition::FingerprintMismatch),
            LockAnswer::InProgress { remaining } => remaining,
        };
        // Cold path: boxed, too.
        if !Box::pin(waiting.round(store, key)).await? {
            return Ok(Acquisition::InProgress(remaining));
        }
        asking = Asking::new(store, policy);
    }
}

impl Policy {
    /// A claim for a new owner.
    fn claim(&self) -> Result<Claim> {
        Ok(Claim { owner: Owner::random()?, lease: self.lease, retention: self.retention })
    }
}

/// After a `lock` of unknown effect: the work has not begun, so a lease that may have been granted is released.
async fn release_unknown<S: Store + ?Sized>(store: &S, key: &Key, claim: &Claim) {
    let sent = Sent::now(&SystemClock::shared());
    let release = async {
        if let Some(record) = store.get(key).await?
            && let Some(lease) = Lease::recovered(*key, &record, claim, &sent)
        {
            let _lost_is_as_good = store.release(&lease).await?;
        }
        Result::<()>::Ok(())
    };
    warn_unless_released(key, timeout(RELEASE_TIMEOUT, release).await.is_ok_and(|done| done.is_ok()));
}

/// Releases a lease under which no work has begun.
async fn release<S: Store + ?Sized>(store: &S, lease: &Lease) {
    let released = timeout(RELEASE_TIMEOUT, store.release(lease)).await;
    warn_unless_released(lease.key(), released.is_ok_and(|done| done.is_ok()));
}

/// A warning is enough: a lease that is left behind ends by itself.
fn warn_unless_released(key: &Key, released: bool) {
    if !released {
        tracing::warn!(%key, "a lease under which nothing ran could not be released, it ends by itself");
    }
}
