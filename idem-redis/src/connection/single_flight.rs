//! A value that is made on first use, by one attempt that all concurrent callers share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::protocol::errors::attempt_error::AttemptError;

pub(crate) struct SingleFlight<T> {
    state: Arc<watch::Sender<State<T>>>,
    /// Upper bound of the duration of an attempt whose runtime is running.
    max_duration: Duration,
    attempts: AtomicU64,
}

enum State<T> {
    Idle,
    /// The number of the attempt, and when it began.
    Making(u64, Instant),
    Made(T),
    Failed(AttemptError, Instant),
}

impl<T> State<T> {
    fn made(&self) -> Option<&T> {
        if let Self::Made(made) = self { Some(made) } else { None }
    }

    fn into_made(self) -> Option<T> {
        if let Self::Made(made) = self { Some(made) } else { None }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// An attempt that takes longer than `max_duration` is abandoned, since its runtime is no longer running.
    pub(crate) fn new(max_duration: Duration) -> Self {
        let state = Arc::new(watch::Sender::new(State::Idle));
        Self { state, max_duration, attempts: AtomicU64::new(0) }
    }

    /// The value, whether or not it is still usable.
    pub(crate) fn get(&self) -> Option<T> {
        self.state.borrow().made().cloned()
    }

    /// Whether there is no value, or it passes `test`.
    pub(crate) fn is_none_or(&self, test: impl FnOnce(&T) -> bool) -> bool {
        self.state.borrow().made().is_none_or(test)
    }

    /// The value if it is still `usable`, else the result of `attempt`. For `pause` after a failure, no attempt is made and
    /// every caller gets that failure. `Err(None)`: the runtime that ran the attempt has ended.
    ///
    /// # Cancel safety
    /// The attempt runs in a task of its own, and goes on when the future is dropped.
    pub(crate) async fn get_or_make<F>(
        &self,
        usable: impl Fn(&T) -> bool,
        pause: Duration,
        attempt: impl FnOnce() -> F,
    ) -> Result<T, Option<AttemptError>>
    where
        F: Future<Output = Result<T, AttemptError>> + Send + 'static,
    {
        let mut changes = self.state.subscribe();
        let number = self.attempts.fetch_add(1, Ordering::Relaxed);
        let begin_if_due = |state: &mut State<T>| {
            let is_due = match state {
                State::Idle => true,
                State::Making(_, since) => since.elapsed() >= self.max_duration,
                State::Made(made) => !usable(made),
                State::Failed(_, at) => at.elapsed() >= pause,
            };
            if is_due {
                *state = State::Making(number, Instant::now());
            }
            is_due
        };
        if self.state.send_if_modified(begin_if_due) {
            // Created before it is spawned, so that its `Drop` runs even when the runtime never polls the task.
            let flight = Flight { state: Arc::clone(&self.state), number, outcome: None };
            tokio::spawn(flight.run(attempt()));
        }
        let settled = changes.wait_for(|state| !matches!(state, State::Making(..))).await;
        match settled.as_deref() {
            Ok(State::Made(made)) => Ok(made.clone()),
            Ok(State::Failed(error, _)) => Err(Some(error.clone())),
            // `Err` cannot happen: the sender lives as long as `self`.
            Ok(State::Idle | State::Making(..)) | Err(_) => Err(None),
        }
    }

    /// Takes the value out, if there is one.
    pub(crate) fn reset(&self) -> Option<T> {
        self.state.send_replace(State::Idle).into_made()
    }

    /// Takes the value out and records a failure for later callers.
    pub(crate) fn fail(&self, error: AttemptError) -> Option<T> {
        self.state.send_replace(State::Failed(error, Instant::now())).into_made()
    }
}

/// A running attempt. Publishes its outcome on drop, so that callers do not wait forever when its runtime ends first.
struct Flight<T> {
    state: Arc<watch::Sender<State<T>>>,
    number: u64,
    outcome: Option<State<T>>,
}

impl<T> Flight<T> {
    async fn run(mut self, making: impl Future<Output = Result<T, AttemptError>>) {
        self.outcome = Some(match making.await {
            Ok(made) => State::Made(made),
            Err(error) => State::Failed(error, Instant::now()),
        });
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(State::Idle);
        self.state.send_if_modified(|state| {
            // An abandoned attempt must not overwrite the state of a later one.
            let is_waited_for = matches!(state, State::Making(number, _) if *number == self.number);
            if is_waited_for {
                *state = outcome;
            }
            is_waited_for
        });
    }
}
