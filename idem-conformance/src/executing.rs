//! `execute` as the cases use it: always the same key, with text as result and as error.

use std::sync::Arc;
use std::time::Duration;

use idem_core::typed::encode_value;
use idem_core::{Execution, Lease, Outcome, Policy, Result, Store, StoreExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::trial::{ExpectLock, Trial, fingerprint, must};

/// Longer than any case may run.
pub(crate) const FOREVER: Duration = Duration::from_mins(10);
pub(crate) const ORDER: &str = "order";

pub(crate) type Worked = std::result::Result<String, &'static str>;
pub(crate) type Answer = Execution<String, &'static str>;

/// Executes `work` for the key [`ORDER`].
pub(crate) async fn execute<F, W>(t: &Trial, policy: &Policy, work: F) -> Answer
where
    F: FnOnce(Lease) -> W + Send,
    W: Future<Output = Worked> + Send,
{
    must("execute", execute_on(t, t.store(), policy, work).await)
}

/// Executes `work` for the key [`ORDER`] on `store`, which wraps that of the trial.
pub(crate) async fn execute_on<F, W>(t: &Trial, store: impl Store, policy: &Policy, work: F) -> Result<Answer>
where
    F: FnOnce(Lease) -> W + Send,
    W: Future<Output = Worked> + Send,
{
    store.execute(&t.key(ORDER), &fingerprint(), policy, work).await
}

/// Executes in a task of its own; returns once the work has begun.
pub(crate) async fn begin<F, W>(t: &Trial, policy: Policy, work: F) -> JoinHandle<Answer>
where
    F: FnOnce(Lease) -> W + Send + 'static,
    W: Future<Output = Worked> + Send,
{
    let (store, key): (Arc<dyn Store>, _) = (t.store(), t.key(ORDER));
    let (begun, begins) = oneshot::channel();
    let task = tokio::spawn(async move {
        let work = |lease| {
            // The receiver is gone when the case has failed already.
            let _ = begun.send(());
            work(lease)
        };
        must("execute", store.execute(&key, &fingerprint(), &policy, work).await)
    });
    must("begin the work", begins.await);
    task
}

/// Work that must not run.
pub(crate) async fn forbidden(_: Lease) -> Worked {
    panic!("this work must not run")
}

/// Work that returns which attempt it is, and from which checkpoint.
pub(crate) async fn describe_attempt(lease: Lease) -> Worked {
    let step = lease.checkpoint().map(|checkpoint| checkpoint.step);
    Ok(format!("attempt {} from {step:?}", lease.attempt()))
}

/// The outcome that `execute` keeps for `value`.
pub(crate) fn kept(value: &str) -> Outcome {
    Outcome::Value(must("encode", encode_value(value)))
}

/// Asserts that work runs now, and as which attempt.
pub(crate) async fn assert_attempt(t: &Trial, expected: &str) {
    execute(t, &t.policy(), describe_attempt).await.expect_executed(expected);
}

/// Asserts that `value` is on record, and that a retry gets it.
pub(crate) async fn assert_replays(t: &Trial, value: &str) {
    let completion = t.lock(&t.key(ORDER), &t.claim()).await.expect_completed();
    assert_eq!(completion.outcome, kept(value));
    execute(t, &t.policy(), forbidden).await.expect_replayed(value);
}

pub(crate) trait ExpectExecution {
    fn expect_executed(self, expected: &str);
    fn expect_replayed(self, expected: &str);
    fn expect_lease_lost(self, expected: &str);
    fn expect_failed(self, expected: &str);
    fn expect_in_progress(self) -> Duration;
}

impl ExpectExecution for Answer {
    #[track_caller]
    fn expect_executed(self, expected: &str) {
        assert!(matches!(&self, Self::Executed(value) if value == expected), "{self:?}, not {expected:?}");
    }

    #[track_caller]
    fn expect_replayed(self, expected: &str) {
        assert!(matches!(&self, Self::Replayed(value) if value == expected), "{self:?}, not {expected:?}");
    }

    #[track_caller]
    fn expect_lease_lost(self, expected: &str) {
        assert!(matches!(&self, Self::LeaseLost(value) if value == expected), "{self:?}, not {expected:?}");
    }

    #[track_caller]
    fn expect_failed(self, expected: &str) {
        assert!(matches!(&self, Self::Failed(error) if *error == expected), "{self:?}, not {expected:?}");
    }

    #[track_caller]
    fn expect_in_progress(self) -> Duration {
        let Self::InProgress { remaining } = self else { panic!("{self:?} should be InProgress") };
        remaining
    }
}
