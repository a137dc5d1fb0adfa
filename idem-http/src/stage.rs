//! How far a request has come: what decides whether it outlives its client.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A request's way, and on it `J`: what is needed to run its handler.
#[derive(Debug)]
pub(crate) struct Stage<J>(Mutex<State<J>>);

#[derive(Debug)]
enum State<J> {
    /// The store is asked for the lock, and may hold a lease for this request.
    Asking(J),
    /// It waits for another one with its key, and holds no lease.
    Waiting(J),
    /// The handler is running, or nobody will run it. What was begun with the store must be ended.
    Running,
}

impl<J> Stage<J> {
    pub(crate) fn new(job: J) -> Self {
        Self(Mutex::new(State::Asking(job)))
    }

    /// What is needed to run the handler; `None` when the client left before that.
    pub(crate) fn start(&self) -> Option<J> {
        match std::mem::replace(&mut *self.state(), State::Running) {
            State::Asking(job) => Some(job),
            State::Waiting(_) | State::Running => None,
        }
    }

    /// From here to [`ask_again`](Stage::ask_again) nothing has to be ended. False when the client has left already.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Running) {
            State::Asking(job) => {
                *state = State::Waiting(job);
                true
            }
            State::Waiting(_) | State::Running => false,
        }
    }

    pub(crate) fn ask_again(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Running) {
            State::Waiting(job) => State::Asking(job),
            other => other,
        };
    }

    /// The client is gone. Answers whether the request must be brought to its end all the same: it must once it
    /// asked for a lock. A handler that has not begun by now never does, and its request is let go at once.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.state();
        match *state {
            State::Waiting(_) => false,
            State::Asking(_) => {
                *state = State::Running;
                true
            }
            State::Running => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // Nothing panics under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
