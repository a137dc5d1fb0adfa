//! The store's turn to write to a database that the application writes to as well.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use idem_core::{ErrorKind, Result};
use redb::{Database, TransactionError, WriteTransaction};

use crate::error::{Away, Failure};
use crate::thread;

const LEAKED: Away = Away::because(
    ErrorKind::Unavailable,
    "the database has been in use since a closure of complete_with ran: it leaked a table, or the application's own \
     transaction goes on and on",
);

/// Waits for the store's turn, but not for ever: a transaction that never ends must not take the writer along.
#[derive(Default)]
pub(crate) struct Turn {
    seat: Option<Arc<Seat>>,
    doubt: Doubt,
}

/// Whether a closure of ours may be the reason for waiting.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Doubt {
    #[default]
    None,
    /// The database was not free after a closure; it may be the application that was quick.
    Suspected,
    /// It was not free for all of a call's time since.
    Leaked,
}

impl Turn {
    /// Begins a transaction within `patience`.
    pub(crate) fn begin(
        &mut self,
        database: &Arc<Database>,
        patience: Duration,
    ) -> Result<WriteTransaction, Failure> {
        match self.wait(database, patience) {
            Err(Failure::Busy) if self.doubt != Doubt::None => {
                self.doubt = Doubt::Leaked;
                Err(Failure::Away(LEAKED))
            }
            Ok(txn) => {
                self.doubt = Doubt::None;
                Ok(txn)
            }
            failed => failed,
        }
    }

    /// Looks whether a closure that has just run left the database free.
    pub(crate) fn look(&mut self, database: &Database) {
        if matches!(database.try_begin_write(), Err(TransactionError::WouldBlock)) {
            self.doubt = Doubt::Suspected;
        }
    }

    fn wait(&mut self, database: &Arc<Database>, patience: Duration) -> Result<WriteTransaction, Failure> {
        match database.try_begin_write() {
            Err(TransactionError::WouldBlock) if self.doubt == Doubt::Leaked => Err(Failure::Busy),
            // In the order of asking, which asking again and again would not be: others would always be quicker.
            Err(TransactionError::WouldBlock) => self.queue_up(database, patience),
            begun => begun.map_err(Failure::latched),
        }
    }

    fn queue_up(
        &mut self,
        database: &Arc<Database>,
        patience: Duration,
    ) -> Result<WriteTransaction, Failure> {
        let seat = match self.seat.take() {
            // The other end still waits since the last time.
            Some(seat) if Arc::strong_count(&seat) > 1 => seat,
            _ => Seat::take(Arc::clone(database))?,
        };
        let answer = seat.wait(patience);
        if answer.is_none() {
            self.seat = Some(seat);
        }
        answer.unwrap_or(Err(Failure::Busy))
    }
}

/// Where a thread that waits for redb's write slot, which nothing can interrupt, leaves its transaction.
struct Seat {
    state: Mutex<State>,
    changed: Condvar,
}

enum State {
    /// Somebody waits for the transaction.
    Wanted,
    /// Nobody does now: a transaction that begins is ended at once, so that nobody else waits for it.
    Unwanted,
    Begun(Box<Result<WriteTransaction, Failure>>),
}

impl Seat {
    fn take(database: Arc<Database>) -> Result<Arc<Self>, Failure> {
        let seat = Arc::new(Self { state: Mutex::new(State::Wanted), changed: Condvar::new() });
        let other_end = Arc::clone(&seat);
        let wait = move || {
            let begun = database.begin_write().map_err(Failure::latched);
            drop(database);
            other_end.leave(begun);
        };
        thread::spawn("idem-redb turn", wait).map_err(Failure::Record)?;
        Ok(seat)
    }

    fn wait(&self, patience: Duration) -> Option<Result<WriteTransaction, Failure>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Unwanted) {
            *state = State::Wanted;
        }
        let waited = self.changed.wait_timeout_while(state, patience, |state| matches!(state, State::Wanted));
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Unwanted) {
            State::Begun(begun) => Some(*begun),
            State::Wanted | State::Unwanted => None,
        }
    }

    fn leave(&self, begun: Result<WriteTransaction, Failure>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Wanted) {
            *state = State::Begun(Box::new(begun));
            self.changed.notify_all();
        }
    }
}
