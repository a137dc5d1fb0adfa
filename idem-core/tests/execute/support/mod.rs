//! A store that fails as a test's script says, and the calls that tests make to it.

mod clock;
mod polling;
#[cfg(feature = "metrics")]
pub(crate) mod recorded;
mod script;
mod store;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use idem_core::record::State;
use idem_core::{
    Claim, Execution, Fingerprint, Key, Lease, LockAnswer, Outcome, Owner, Policy, Scope, Store, StoreExt,
};

pub(crate) use clock::TokioClock;
pub(crate) use polling::Polling;
pub(crate) use script::Fault;
pub(crate) use store::{MAX_BYTES, Scripted};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const RETENTION: Duration = Duration::from_hours(24);

pub(crate) fn key() -> Key {
    Key::new(&Scope::shared(), "order-1").unwrap()
}

pub(crate) fn order() -> Fingerprint {
    Fingerprint::builder("test").part("order").finish()
}

pub(crate) fn policy() -> Policy {
    Policy::new(LEASE, RETENTION)
}

/// The other caller, who locks without `execute`.
pub(crate) fn bob() -> Claim {
    Claim { owner: Owner::from_bytes([0xB0; 16]), lease: LEASE, retention: RETENTION }
}

pub(crate) async fn lock(store: &dyn Store, claim: &Claim) -> Lease {
    match store.lock(&key(), &order(), claim).await.unwrap() {
        LockAnswer::Acquired(lease) => lease,
        other => panic!("not acquired: {other:?}"),
    }
}

/// Runs work that books `text`.
pub(crate) async fn book(store: &dyn Store, policy: &Policy, text: &str) -> Execution<String, Infallible> {
    try_book(store, policy, text).await.unwrap()
}

pub(crate) async fn try_book(
    store: &dyn Store,
    policy: &Policy,
    text: &str,
) -> idem_core::Result<Execution<String, Infallible>> {
    store.execute(&key(), &order(), policy, |_| async { Ok(text.to_owned()) }).await
}

pub(crate) fn encoded(text: &str) -> Outcome {
    Outcome::Value(idem_core::typed::encode_value(text).unwrap())
}

pub(crate) fn locked(state: &State) -> &idem_core::record::Locked {
    match state {
        State::Locked(locked) => locked,
        State::Completed(_) => panic!("{state:?}"),
    }
}

/// Is pending once, as a call to a disk or a network is.
pub(crate) async fn pend_once() {
    let mut pended = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut pended, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls `future` up to `times` times; returns whether it is still pending.
pub(crate) fn poll_times<F: Future>(mut future: Pin<&mut F>, times: usize) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    (0..times).all(|_| future.as_mut().poll(&mut context).is_pending())
}
