//! What is made when it is first needed, in one attempt for all who need it at that time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::protocol::errors::attempt_error::AttemptError;

pub(crate) struct SingleFlight<T> {
    state: Arc<watch::Sender<State<T>>>,
    /// How long an attempt takes at most, in a runtime that goes on.
    longest: Duration,
    attempts: AtomicU64,
}

enum State<T> {
    Idle,
    /// The attempt of this number, since then.
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
    /// An attempt that takes longer than `longest` is given up: the runtime rests that makes it.
    pub(crate) fn new(longest: Duration) -> Self {
        let state = Arc::new(watch::Sender::new(State::Idle));
        Self { state, longest, attempts: AtomicU64::new(0) }
    }

    /// What was made, usable or not.
    pub(crate) fn get(&self) -> Option<T> {
        self.state.borrow().made().cloned()
    }

    /// Whether nothing was made, or what was made passes `test`.
    pub(crate) fn is_none_or(&self, test: impl FnOnce(&T) -> bool) -> bool {
        self.state.borrow().made().is_none_or(test)
    }

    /// What was made where it is still `usable`, else what `attempt` gives. After a failure nothing is tried for `pause`, and
    /// everybody is told of that failure; none when the runtime has ended that was making it.
    ///
    /// # Cancel safety
    /// The attempt goes on in a task of its own when the caller leaves.
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
        let begins = |state: &mut State<T>| {
            let is_due = match state {
                State::Idle => true,
                State::Making(_, since) => since.elapsed() >= self.longest,
                State::Made(made) => !usable(made),
                State::Failed(_, at) => at.elapsed() >= pause,
            };
            if is_due {
                *state = State::Making(number, Instant::now());
            }
            is_due
        };
        if self.state.send_if_modified(begins) {
            // Made before it is spawned: a runtime may end without having begun with it.
            let flight = Flight { state: Arc::clone(&self.state), number, outcome: None };
            tokio::spawn(flight.run(attempt()));
        }
        let settled = changes.wait_for(|state| !matches!(state, State::Making(..))).await;
        match settled.as_deref() {
            Ok(State::Made(made)) => Ok(made.clone()),
            Ok(State::Failed(error, _)) => Err(Some(error.clone())),
            // The sender lives as long as this.
            Ok(State::Idle | State::Making(..)) | Err(_) => Err(None),
        }
    }

    /// Gives up what was made, if anything was.
    pub(crate) fn reset(&self) -> Option<T> {
        self.state.send_replace(State::Idle).into_made()
    }

    /// The same, and tells everybody why.
    pub(crate) fn fail(&self, error: AttemptError) -> Option<T> {
        self.state.send_replace(State::Failed(error, Instant::now())).into_made()
    }
}

/// Says what came of it, also when the runtime ends meanwhile: then nobody is to blame, and nobody has to wait.
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
            // Nobody waits any more for what was given up.
            let is_waited_for = matches!(state, State::Making(number, _) if *number == self.number);
            if is_waited_for {
                *state = outcome;
            }
            is_waited_for
        });
    }
}
