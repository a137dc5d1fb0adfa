//! Sending a store call again until its effect is known.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep, timeout};

use super::policy::Policy;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::identity::random::random_seed;
use crate::lease::Lease;
use crate::store::Store;

/// The time that a store has for calls that belong together: the policy's limit, however many calls there are.
#[derive(Debug)]
pub(super) struct Asking<'a, S: ?Sized> {
    store: &'a S,
    policy: &'a Policy,
    /// Set by the first answer that has to be waited for, so that a store in memory costs neither a clock reading nor a
    /// timer.
    begun: Option<Instant>,
    /// The lease under which an outcome is to be kept.
    lease: Option<&'a Lease>,
    /// Whether the store had no room for the outcome at least once.
    met_full: bool,
}

impl<'a, S: Store + ?Sized> Asking<'a, S> {
    pub(super) fn new(store: &'a S, policy: &'a Policy) -> Self {
        Self { store, policy, begun: None, lease: None, met_full: false }
    }

    /// For the outcome of work that ran under `lease`. A full store is sent the outcome while more than half of the
    /// lease is left. The rest of the lease is for the note that the work has run.
    pub(super) fn completing(store: &'a S, policy: &'a Policy, lease: &'a Lease) -> Self {
        Self { lease: Some(lease), ..Self::new(store, policy) }
    }

    /// Whether the store was full.
    pub(super) fn met_full(&self) -> bool {
        self.met_full
    }

    fn window(&self) -> Duration {
        self.policy.resend_limit(&self.store.capabilities())
    }

    /// What is left of the time. The first look starts it.
    pub(super) fn left(&mut self) -> Duration {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let left = self.window().saturating_sub(begun.elapsed());
        match self.lease {
            Some(lease) if self.met_full => left.min(lease.remaining().saturating_sub(self.policy.lease / 2)),
            _ => left,
        }
    }
}

/// The resolution of a timer. A call that is cut off at once would only hide why the one before it failed.
const SHORTEST: Duration = Duration::from_millis(1);

/// Sends `call` until it is answered with anything but an error that is worth another try, for as long as `asking`
/// lasts.
///
/// This is correct because the contract makes every call safe to resend. A call that the limit cuts off counts as one
/// whose answer was lost.
pub(super) async fn resend<S, T, F, Fut>(
    asking: &mut Asking<'_, S>,
    operation: Operation,
    mut call: F,
) -> Result<T>
where
    S: Store + ?Sized,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut sent = pin!(call());
    // A store in memory answers at the first poll, and then needs no room for what follows.
    let answered = match poll_once(sent.as_mut()).await {
        Poll::Ready(Err(error)) if again(operation, error.kind()) => Poll::Ready(Err(error)),
        Poll::Ready(answer) => return answer,
        Poll::Pending => Poll::Pending,
    };
    Box::pin(resend_until_answered(asking, operation, call, sent, answered)).await
}

/// The same for a call that was already `sent`, with its answer in `answered` if it has one.
async fn resend_until_answered<S, T, F, Fut>(
    asking: &mut Asking<'_, S>,
    operation: Operation,
    mut call: F,
    mut sent: Pin<&mut Fut>,
    mut answered: Poll<Result<T>>,
) -> Result<T>
where
    S: Store + ?Sized,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut pauses = None;
    let mut before = None;
    loop {
        let answer = match answered {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => timeout(asking.left(), sent.as_mut()).await,
        };
        let error = match answer {
            Ok(Err(error)) if again(operation, error.kind()) => error,
            Ok(answer) => return answer,
            Err(_) => return Err(no_answer(asking.window(), operation, before)),
        };
        asking.met_full |= error.kind() == ErrorKind::Full;
        match pauses.get_or_insert_with(growing).next() {
            Some(pause) if pause < asking.left() => sleep(pause).await,
            _ => return Err(error),
        }
        if asking.left() < SHORTEST {
            return Err(error);
        }
        before = Some(error);
        sent.set(call());
        answered = Poll::Pending;
    }
}

/// Pauses that double, each with up to as much again by chance. So callers that failed together do not come back
/// together, whichever process or task they are in.
fn growing() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_millis(500))
        .without_max_times()
        .with_jitter()
        // Without its feature `std` backon has one seed for all callers, and with it it derives the seed from the clock
        // and the thread.
        .with_jitter_seed(random_seed())
        .build()
}

pub(super) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// A `complete` is sent again even to a full store: the work is done, and the store may have room in a moment.
fn again(operation: Operation, kind: ErrorKind) -> bool {
    kind.is_transient() || operation == Operation::Complete && kind == ErrorKind::Full
}

fn no_answer(window: Duration, operation: Operation, before: Option<Error>) -> Error {
    let error =
        Error::new(ErrorKind::Timeout, operation, format!("the store gave no answer within {window:?}"));
    match before {
        Some(before) => error.with_source(before),
        None => error,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;
    use std::process::Command;

    use super::*;

    const ROLE: &str = "IDEM_TEST_ROLE";

    /// The first pauses, in one line.
    fn drawn() -> String {
        let drawn: Vec<_> = growing().take(8).map(|pause| pause.as_nanos().to_string()).collect();
        drawn.join(" ")
    }

    #[test]
    fn pauses_of_two_processes_differ() {
        const TEST: &str = "execute::resend::tests::pauses_of_two_processes_differ";
        if std::env::var_os(ROLE).is_some() {
            println!("pauses: {}", drawn());
            return;
        }
        let process = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let output = command.args([TEST, "--exact", "--nocapture"]).env(ROLE, "draw").output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let pauses = said
                .lines()
                .find_map(|line| line.split_once("pauses: "))
                .map(|(_, pauses)| pauses.to_owned());
            pauses.unwrap_or_else(|| panic!("{said}"))
        };
        assert_ne!(process(), process());
    }

    #[test]
    fn pauses_of_calls_at_the_same_moment_differ() {
        let all: HashSet<_> = (0..100).map(|_| drawn()).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn a_pause_is_once_to_twice_what_it_grew_to() {
        let grown = [10, 20, 40, 80, 160, 320, 500, 500].map(Duration::from_millis);
        for _ in 0..100 {
            for (pause, least) in growing().zip(grown) {
                // backon computes in f32.
                let tolerance = Duration::from_micros(1);
                assert!(pause + tolerance >= least && pause <= 2 * least + tolerance, "{pause:?} {least:?}");
            }
        }
    }
}
