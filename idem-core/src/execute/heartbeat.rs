//! Keeping a lease alive while the work runs.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Policy;
use crate::limits::MIN_DURATION;
use crate::{Fenced, Lease, Store};

/// Runs `work` to its end and renews `lease` beside it, in the same task.
///
/// A lost lease does not stop the work: what it did cannot be undone by dropping it. Its completion is
/// refused instead.
pub(super) async fn run<S, W>(store: &S, lease: &Lease, policy: &Policy, work: W) -> W::Output
where
    S: Store + ?Sized,
    W: Future,
{
    let mut work = pin!(work);
    let mut renewals = pin!(renew_until_lost(store, lease, policy));
    let mut renewing = true;
    loop {
        tokio::select! {
            biased;
            output = &mut work => return output,
            () = &mut renewals, if renewing => renewing = false,
        }
    }
}

async fn renew_until_lost<S: Store + ?Sized>(store: &S, lease: &Lease, policy: &Policy) {
    // Two renewals may fail before the lease is over.
    let regular = policy.lease / 3;
    let after_failure = policy.lease / 12;
    let begun = Instant::now();
    let mut pause = regular;
    loop {
        sleep(pause).await;
        let left = policy.renew_for.saturating_sub(begun.elapsed());
        if left < MIN_DURATION || lease.is_completed() {
            return;
        }
        match store.renew(lease, policy.lease.min(left)).await {
            Ok(Fenced::Applied) => pause = regular,
            Ok(Fenced::Lost(reason)) => {
                tracing::warn!(key = %lease.key(), ?reason, "the lease was lost while the work runs");
                return;
            }
            Err(error) if error.kind().is_transient() => {
                tracing::warn!(key = %lease.key(), %error, "a renewal failed and is sent again");
                pause = after_failure.max(Duration::from_millis(1));
            }
            Err(error) => {
                tracing::error!(key = %lease.key(), %error, "the lease can no longer be renewed");
                return;
            }
        }
    }
}
