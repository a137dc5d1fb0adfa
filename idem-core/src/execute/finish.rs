//! Ending an attempt after its work has run. Work that was done is never released.

use std::time::Duration;

use tokio::time::timeout;

use super::policy::{OnError, Policy};
use super::resend::{Asking, resend};
use crate::backend::limits::nearest_retention;
use crate::claim::Claim;
use crate::effect::{Effect, LostReason};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::lease::{Lease, LockAnswer};
use crate::record::{Outcome, UnavailableReason};
use crate::store::Store;

/// How an attempt ended.
pub(super) enum Finished {
    /// The store keeps the outcome.
    Kept,
    /// The work had completed the key itself, with this outcome.
    ByWork(Outcome),
    /// The lease was lost, and the outcome is not kept.
    Lost,
    /// It is unknown whether the outcome is kept.
    Unknown(Error),
}

/// The outcome of the work, and how long it is replayed.
#[derive(Debug, Clone)]
pub(super) struct Retained {
    pub(super) outcome: Outcome,
    retention: Duration,
}

impl Retained {
    /// The work has run, so a retention outside the limits must not make its completion fail: the nearest one within is
    /// taken.
    pub(super) fn new(outcome: Outcome, retention: Duration) -> Self {
        Self { outcome, retention: nearest_retention(retention) }
    }

    fn instead(&self, reason: UnavailableReason) -> Self {
        Self { outcome: Outcome::Unavailable(reason), ..*self }
    }
}

/// Completes the key with what is `retained`.
pub(super) async fn complete<S: Store + ?Sized>(
    store: &S,
    lease: &Lease,
    claim: &Claim,
    retained: Retained,
    policy: &Policy,
) -> Finished {
    if lease.is_completed() {
        // Cold path, here and below: boxed to keep the future of every caller small.
        return Box::pin(by_work(store, lease, policy)).await;
    }
    match send(store, lease, &retained, policy).await {
        Ok(Effect::Lost(LostReason::Gone)) => {
            Box::pin(complete_again(store, lease, claim, &retained, policy)).await
        }
        answer => finished(answer),
    }
}

/// The record is gone, but the work is done: keep its result if no other attempt has begun meanwhile.
async fn complete_again<S: Store + ?Sized>(
    store: &S,
    lease: &Lease,
    claim: &Claim,
    retained: &Retained,
    policy: &Policy,
) -> Finished {
    let lock = resend(&mut Asking::new(store, policy), Operation::Lock, || {
        store.lock(lease.key(), lease.fingerprint(), claim)
    })
    .await;
    match lock {
        Ok(LockAnswer::Acquired(again)) if again.attempt() == 1 && again.checkpoint().is_none() => {
            finished(send(store, &again, retained, policy).await)
        }
        Ok(LockAnswer::Acquired(again)) => {
            // Another attempt has been here, and its result or checkpoint must not be overwritten.
            if let Err(error) = store.release(&again).await {
                let error = error.as_dyn();
                tracing::warn!(key = %lease.key(), error, "a lease taken in vain could not be released");
            }
            Finished::Lost
        }
        Ok(LockAnswer::Completed(_) | LockAnswer::InProgress { .. } | LockAnswer::FingerprintMismatch) => {
            Finished::Lost
        }
        Err(error) => Finished::Unknown(error),
    }
}

/// Follows the policy after the work answered `Err`. Answers the outcome on record if the work had completed the key
/// nevertheless.
pub(super) async fn fail<S: Store + ?Sized>(store: &S, lease: &Lease, policy: &Policy) -> Option<Outcome> {
    if policy.on_error == OnError::Release && !lease.is_completed() {
        match resend(&mut Asking::new(store, policy), Operation::Release, || store.release(lease)).await {
            Ok(Effect::Lost(LostReason::Completed)) => {}
            Ok(_) => return None,
            Err(error) => {
                let error = error.as_dyn();
                tracing::warn!(key = %lease.key(), error, "a release failed, the lease ends by itself");
            }
        }
    }
    match by_work(store, lease, policy).await {
        Finished::ByWork(outcome) => Some(outcome),
        Finished::Unknown(error) => {
            let error = error.as_dyn();
            tracing::warn!(key = %lease.key(), error, "whether the work completed its key cannot be seen");
            None
        }
        Finished::Kept | Finished::Lost => None,
    }
}

async fn by_work<S: Store + ?Sized>(store: &S, lease: &Lease, policy: &Policy) -> Finished {
    match resend(&mut Asking::new(store, policy), Operation::Get, || store.get(lease.key())).await {
        Ok(Some(record)) if record.token == lease.token() => match record.outcome() {
            Some(outcome) => Finished::ByWork(outcome.clone()),
            None => Finished::Lost,
        },
        Ok(_) => Finished::Lost,
        Err(error) => Finished::Unknown(error),
    }
}

/// Sends the outcome until its effect is known. When it is too large, or the store was full at any time and has not
/// taken it, sends a note that the work has run: without the note a retry would run the work again.
async fn send<S: Store + ?Sized>(
    store: &S,
    lease: &Lease,
    retained: &Retained,
    policy: &Policy,
) -> Result<Effect> {
    let complete = async |asking: &mut Asking<'_, S>, retained: &Retained| {
        let call = || store.complete(lease, retained.outcome.clone(), retained.retention);
        resend(asking, Operation::Complete, call).await
    };
    let mut asking = Asking::completing(store, policy, lease);
    // Cold path after this: boxed to keep the future of every caller small.
    let noted = match complete(&mut asking, retained).await {
        Err(error) if error.kind() == ErrorKind::TooLarge => {
            let error = error.as_dyn();
            tracing::warn!(key = %lease.key(), error, "the result is not kept; a retry will be told so");
            let note = retained.instead(UnavailableReason::TooLarge);
            Box::pin(async { complete(&mut Asking::completing(store, policy, lease), &note).await }).await
        }
        Err(error) if asking.met_full() => {
            let note = retained.instead(UnavailableReason::Other);
            Box::pin(send_note(store, lease, note, policy, error)).await
        }
        answer => return answer,
    };
    if matches!(noted, Ok(Effect::Applied)) {
        lease.set_result_unavailable();
    }
    noted
}

/// Notes that the work has run and that there was no room for its result. The note itself needs hardly any room. It is
/// sent once: if the store cannot keep the note either, the error to report is why it refused the outcome.
async fn send_note<S: Store + ?Sized>(
    store: &S,
    lease: &Lease,
    note: Retained,
    policy: &Policy,
    unsent: Error,
) -> Result<Effect> {
    let limit = policy.resend_limit(&store.capabilities());
    match timeout(limit, store.complete(lease, note.outcome, note.retention)).await {
        Ok(Ok(answer)) => {
            let error = unsent.as_dyn();
            tracing::warn!(key = %lease.key(), error, "the store is full, the result is not kept");
            Ok(answer)
        }
        Ok(Err(_)) | Err(_) => Err(unsent),
    }
}

fn finished(answer: Result<Effect>) -> Finished {
    match answer {
        Ok(Effect::Applied) => Finished::Kept,
        Ok(Effect::Lost(_)) => Finished::Lost,
        Err(error) => Finished::Unknown(error),
    }
}
