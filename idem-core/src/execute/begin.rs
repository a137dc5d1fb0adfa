//! Getting the lease, or the answer that makes it needless.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Policy;
use super::resend::resend;
use crate::{
    Claim, Completion, Fingerprint, Key, Lease, LockOutcome, Operation, Owner, Result, Sent, Store,
    SystemClock,
};

/// Whether the work may run.
pub(super) enum Begun {
    Acquired(Lease, Claim),
    InProgress(Duration),
    Completed(Completion),
    FingerprintMismatch,
}

/// Locks `key`, waiting for the result in flight as long as the policy says.
pub(super) async fn begin<S: Store + ?Sized>(
    store: &S,
    key: &Key,
    fingerprint: &Fingerprint,
    policy: &Policy,
) -> Result<Begun> {
    let claim = Claim { owner: Owner::random()?, lease: policy.lease, retention: policy.retention };
    let begun = Instant::now();
    let mut refused = 0_u32;
    loop {
        let lock = resend(policy.resend_for, Operation::Lock, || store.lock(key, fingerprint, &claim)).await;
        if lock.as_ref().is_err_and(|error| error.kind().is_transient()) {
            // Seldom, here and below: it need not lie in the future of every caller.
            Box::pin(release_unknown(store, key, &claim)).await;
        }
        let remaining = match lock? {
            LockOutcome::Acquired(lease) => return Ok(Begun::Acquired(lease, claim)),
            LockOutcome::Completed(completion) => return Ok(Begun::Completed(completion)),
            LockOutcome::FingerprintMismatch => return Ok(Begun::FingerprintMismatch),
            LockOutcome::InProgress { remaining } => remaining,
        };
        let left = policy.wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(Begun::InProgress(remaining));
        }
        Box::pin(wait_until_settled(store, key, left)).await?;
        // Settled and yet in progress, again and again: others win the race, so make room.
        Box::pin(sleep(left.min(Duration::from_millis(5) * refused.min(20)))).await;
        refused += 1;
    }
}

/// Waits for `left` at most. Settled or not, and also when the store cannot answer for a moment: the `lock`
/// that follows tells, and takes its hint from the present.
async fn wait_until_settled<S: Store + ?Sized>(store: &S, key: &Key, left: Duration) -> Result<()> {
    match timeout(left, store.settled(key, left)).await {
        Ok(Err(error)) if !error.kind().is_transient() => Err(error),
        _ => Ok(()),
    }
}

/// After a `lock` whose effect is unknown: the work has not begun, so let go of what may have been granted.
async fn release_unknown<S: Store + ?Sized>(store: &S, key: &Key, claim: &Claim) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let sent = Sent::now(&SystemClock::shared());
    let release = async {
        if let Some(record) = store.get(key).await?
            && let Some(lease) = Lease::recovered(*key, &record, claim, &sent)
        {
            let _lost_is_as_good = store.release(&lease).await?;
        }
        Result::<()>::Ok(())
    };
    // As best it can: the lease that may be left ends by itself.
    if !matches!(timeout(PATIENCE, release).await, Ok(Ok(()))) {
        tracing::warn!(%key, "a lock of unknown effect could not be released, it ends by itself");
    }
}
