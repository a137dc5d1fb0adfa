//! The stage that a request has reached, which decides whether it outlives its client.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The stage of a request. Until the handler runs, it holds `H`: what is needed to run the handler.
#[derive(Debug)]
pub(crate) struct Stage<H>(Mutex<State<H>>);

#[derive(Debug)]
enum State<H> {
    /// The store is asked for the lock, and may hold a lease for this request.
    Locking(H),
    /// The request waits for another one with its key, and holds no lease.
    Waiting(H),
    /// The handler was started, or never will be. The calls to the store must be brought to their end.
    Running,
}

impl<H> Stage<H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(Mutex::new(State::Locking(handler)))
    }

    /// Takes what is needed to run the handler; `None` when the client left before that.
    pub(crate) fn start(&self) -> Option<H> {
        match std::mem::replace(&mut *self.state(), State::Running) {
            State::Locking(handler) => Some(handler),
            State::Waiting(_) | State::Running => None,
        }
    }

    /// From here to [`end_waiting`](Stage::end_waiting) the request may simply be dropped. False when the client has left
    /// already.
    pub(crate) fn begin_waiting(&self) -> bool {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Running) {
            State::Locking(handler) => {
                *state = State::Waiting(handler);
                true
            }
            State::Waiting(_) | State::Running => false,
        }
    }

    pub(crate) fn end_waiting(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Running) {
            State::Waiting(handler) => State::Locking(handler),
            other => other,
        };
    }

    /// Called when the client has left. True when the request must be brought to its end all the same, since it may
    /// hold a lock. A handler that has not been started by now never will be, and its request is dropped at once.
    pub(crate) fn client_left(&self) -> bool {
        let mut state = self.state();
        match *state {
            State::Waiting(_) => false,
            State::Locking(_) => {
                *state = State::Running;
                true
            }
            State::Running => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<H>> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
