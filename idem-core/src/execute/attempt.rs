//! One call of `execute`, from its look for a replay to its end.

use std::future::{Future, poll_fn};
use std::pin::pin;

use bytes::Bytes;
use tracing::field::Empty;

use super::acquire::{Acquisition, acquire};
use super::execution::{Execution, ended};
use super::finish::{self, Finished, Retained};
use super::heartbeat;
use super::policy::Policy;
use crate::error::Result;
use crate::identity::{Fingerprint, Key};
use crate::lease::Lease;
use crate::metrics;
use crate::record::Outcome;
use crate::store::Store;

/// The work answers a `U`. `encode` turns it into what the caller gets and what is kept. `decode` turns what was kept
/// into what the caller gets.
pub(super) async fn execute<S, T, U, E, F, W>(
    store: &S,
    key: &Key,
    fingerprint: &Fingerprint,
    policy: &Policy,
    work: F,
    encode: impl FnOnce(U) -> (T, Retained) + Send,
    decode: impl Fn(Bytes) -> Result<T> + Send,
) -> Result<Execution<T, E>>
where
    S: Store + ?Sized,
    F: FnOnce(Lease) -> W,
    W: Future<Output = Result<U, E>>,
{
    let span = tracing::debug_span!("idem.execute", %key, attempt = Empty, outcome = Empty);
    let attempt = |attempt: u32| {
        span.record("attempt", attempt);
    };
    let mut inside = pin!(attempt_once(store, key, fingerprint, policy, work, encode, decode, attempt));
    // Polled in place: `instrument` would take the future by value, and so need room for it a second time.
    let answer = poll_fn(|cx| span.in_scope(|| inside.as_mut().poll(cx))).await;
    span.record("outcome", ended(&answer));
    answer
}

fn replayed<T, E>(outcome: Outcome, decode: impl Fn(Bytes) -> Result<T>) -> Result<Execution<T, E>> {
    match outcome {
        Outcome::Value(bytes) => Ok(Execution::Replayed(decode(bytes)?)),
        Outcome::Unavailable(reason) => Ok(Execution::Unavailable(reason)),
    }
}

#[expect(clippy::too_many_arguments, reason = "those of `execute`, and whom to tell which attempt it is")]
async fn attempt_once<S, T, U, E, F, W>(
    store: &S,
    key: &Key,
    fingerprint: &Fingerprint,
    policy: &Policy,
    work: F,
    encode: impl FnOnce(U) -> (T, Retained) + Send,
    decode: impl Fn(Bytes) -> Result<T> + Send,
    attempt: impl Fn(u32) + Send,
) -> Result<Execution<T, E>>
where
    S: Store + ?Sized,
    F: FnOnce(Lease) -> W,
    W: Future<Output = Result<U, E>>,
{
    let asked = metrics::Since::now();
    if policy.peeks_first
        && let Some(replay) = store.peek(key, fingerprint)
    {
        // `lock` would refuse a wrong policy, so a replay does too.
        policy.check()?;
        metrics::waited(asked);
        return replayed(replay.outcome, decode);
    }
    let acquisition = acquire(store, key, fingerprint, policy).await?;
    metrics::waited(asked);
    let (lease, claim) = match acquisition {
        Acquisition::Acquired(lease, claim) => (lease, claim),
        Acquisition::InProgress(remaining) => return Ok(Execution::InProgress { remaining }),
        Acquisition::FingerprintMismatch => return Ok(Execution::FingerprintMismatch),
        Acquisition::Completed(replay) => return replayed(replay.outcome, decode),
    };
    let kept_by_work = |outcome| match outcome {
        Outcome::Value(bytes) => Ok(Execution::Executed(decode(bytes)?)),
        Outcome::Unavailable(reason) => Ok(Execution::Unavailable(reason)),
    };
    attempt(lease.attempt());
    let started = metrics::Since::now();
    let worked = heartbeat::run(store, &lease, policy, pin!(work(lease.clone()))).await;
    metrics::executed(started);
    match worked {
        Ok(value) => {
            let (value, retained) = encode(value);
            match finish::complete(store, &lease, &claim, retained, policy).await {
                Finished::Kept => Ok(Execution::Executed(value)),
                Finished::ByWork(outcome) => kept_by_work(outcome),
                Finished::Lost => Ok(Execution::LeaseLost(value)),
                Finished::Unknown(error) => Ok(Execution::Unknown(value, error)),
            }
        }
        Err(error) => match Box::pin(finish::fail(store, &lease, policy)).await {
            Some(outcome) => kept_by_work(outcome),
            None => Ok(Execution::Failed(error)),
        },
    }
}
