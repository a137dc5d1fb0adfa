//! Keeping a lease alive while the work runs.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::policy::Policy;
use super::resend::poll_once;
use crate::backend::limits::MIN_DURATION;
use crate::effect::{Effect, LostReason};
use crate::error::{Error, ErrorKind, Operation};
use crate::lease::Lease;
use crate::store::Store;

/// The least time given to a renewal, however short the lease: stores that commit to a disk or wait for replicas need
/// it.
const MIN_RENEWAL_TIMEOUT: Duration = Duration::from_millis(100);

/// Runs `work` to its end and renews `lease` beside it, in the same task.
///
/// A lost lease does not stop the work, since dropping the work does not undo what it did. The store refuses its
/// completion instead.
pub(super) async fn run<S, W>(store: &S, lease: &Lease, policy: &Policy, mut work: Pin<&mut W>) -> W::Output
where
    S: Store + ?Sized,
    W: Future,
{
    if let Poll::Ready(output) = poll_once(work.as_mut()).await {
        return output;
    }
    // Boxed so that callers whose work ends at once, or who get no lease, need no room for it.
    let mut renewals = Box::pin(renew_until_lost(store, lease, policy));
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
    // A third of the lease: two renewals may fail, or get no answer, before the lease is over.
    let regular = policy.lease / 3;
    let after_failure = policy.lease / 12;
    let renewal_timeout = (policy.lease / 6).max(MIN_RENEWAL_TIMEOUT);
    let begun = Instant::now();
    // A `lock` that was sent again may have found little left of its own lease.
    let mut pause = lease.remaining().min(policy.lease) / 3;
    loop {
        sleep(pause).await;
        let left = policy.renew_for.saturating_sub(begun.elapsed());
        if left < MIN_DURATION || lease.is_completed() {
            return;
        }
        let renewal = timeout(renewal_timeout, store.renew(lease, policy.lease.min(left))).await;
        match renewal.unwrap_or_else(|_| Err(no_answer(renewal_timeout))) {
            Ok(Effect::Applied) => pause = regular,
            // The work completed its key itself, and may not know it, because the answer to that call was lost. The
            // store has told the lease.
            Ok(Effect::Lost(LostReason::Completed)) => return,
            Ok(Effect::Lost(reason)) => {
                tracing::warn!(key = %lease.key(), ?reason, "the lease was lost while the work runs");
                return;
            }
            Err(error) if worth_another(&error, lease) => {
                let error = error.as_dyn();
                tracing::warn!(key = %lease.key(), error, "a renewal failed and is sent again");
                pause = after_failure.max(Duration::from_millis(1));
            }
            Err(error) => {
                let error = error.as_dyn();
                tracing::error!(key = %lease.key(), error, "the lease can no longer be renewed");
                return;
            }
        }
    }
}

/// A store that was out of reach may renew even a lease that is over. After any other failure another try may succeed
/// while the lease lasts, except after a misuse or on a closed store.
fn worth_another(error: &Error, lease: &Lease) -> bool {
    match error.kind() {
        ErrorKind::InvalidArgument | ErrorKind::InvalidKey | ErrorKind::Closed => false,
        kind => kind.is_transient() || !lease.remaining().is_zero(),
    }
}

fn no_answer(renewal_timeout: Duration) -> Error {
    let message = format!("the store gave no answer within {renewal_timeout:?}");
    Error::new(ErrorKind::Timeout, Operation::Renew, message)
}
