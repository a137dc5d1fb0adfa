//! Waiting for redb's one write slot, in a database that the application writes to as well: up to a timeout.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{ErrorKind, Result};
use redb::{Database, TransactionError, WriteTransaction};

use super::handover::{Platform, Threads, WaitEnd, Waiting};
use crate::error::{Away, Failure};

const LEAKED: Away = Away::new(
    ErrorKind::Unavailable,
    "the database has been in use since a closure of complete_with ran: it leaked a table, or the application's own \
     transaction goes on and on",
);

/// A database with one write slot.
pub(crate) trait WriteSlot: Clone + Send + 'static {
    type Transaction: Send + 'static;

    /// Begins a transaction; `None` where another has the slot.
    fn try_begin(&self) -> Option<Result<Self::Transaction, Failure>>;

    /// Waits for the slot in the order of arrival. Nothing interrupts it.
    fn begin(&self) -> Result<Self::Transaction, Failure>;
}

impl WriteSlot for Arc<Database> {
    type Transaction = WriteTransaction;

    fn try_begin(&self) -> Option<Result<WriteTransaction, Failure>> {
        match self.try_begin_write() {
            Err(TransactionError::WouldBlock) => None,
            begun => Some(begun.map_err(Failure::latched)),
        }
    }

    fn begin(&self) -> Result<WriteTransaction, Failure> {
        self.begin_write().map_err(Failure::latched)
    }
}

/// The store's turn to write. Waits for the slot within the call timeout, so that a transaction that never ends does
/// not block the writer forever.
pub(crate) struct Turn<S: WriteSlot, P: Platform> {
    pub(super) waiting: Option<Waiting<P, Result<S::Transaction, Failure>>>,
    suspicion: Suspicion,
}

/// The store's turn to write to a redb database.
pub(crate) type WriteTurn = Turn<Arc<Database>, Threads>;

/// Whether a leak of one of the store's closures may be the reason for waiting.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Suspicion {
    #[default]
    None,
    /// The database was not free after a closure; the application may have been faster.
    Suspected,
    /// The database was not free for a whole call timeout since.
    Leaked,
}

impl<S: WriteSlot, P: Platform> Default for Turn<S, P> {
    fn default() -> Self {
        Self { waiting: None, suspicion: Suspicion::None }
    }
}

impl<S: WriteSlot, P: Platform> Turn<S, P> {
    /// Begins a transaction within `timeout`.
    pub(crate) fn begin(&mut self, database: &S, timeout: Duration) -> Result<S::Transaction, Failure> {
        if let Some(begun) = database.try_begin() {
            self.suspicion = Suspicion::None;
            return begun;
        }
        if self.suspicion == Suspicion::Leaked {
            if self.waiting.as_ref().is_some_and(|waiting| !waiting.is_over()) {
                return Err(Failure::Away(LEAKED));
            }
            // The slot was given back: the thread that waited in line has had it since.
            self.suspicion = Suspicion::None;
        }
        match self.wait_in_line(database, timeout)? {
            Some(begun) => {
                self.suspicion = Suspicion::None;
                begun
            }
            None if self.suspicion == Suspicion::None => Err(Failure::Busy),
            None => {
                self.suspicion = Suspicion::Leaked;
                Err(Failure::Away(LEAKED))
            }
        }
    }

    /// Checks whether a closure that has just run left the database free.
    pub(crate) fn suspect_if_taken(&mut self, database: &S) {
        if database.try_begin().is_none() {
            self.suspicion = Suspicion::Suspected;
        }
    }

    /// Waits in the order of arrival. Polling instead would be unfair: other writers would always be faster.
    fn wait_in_line(
        &mut self,
        database: &S,
        timeout: Duration,
    ) -> Result<Option<Result<S::Transaction, Failure>>, Failure> {
        loop {
            // The thread of the last call may still wait, at a better place in the line.
            let (waiting, is_new) = match self.waiting.take() {
                Some(waiting) => (waiting, false),
                None => (Self::start(database)?, true),
            };
            match waiting.wait(timeout) {
                WaitEnd::Begun(begun) => return Ok(Some(begun)),
                WaitEnd::TimedOut => {
                    self.waiting = Some(waiting);
                    return Ok(None);
                }
                // It has had the slot, and no writer took it over.
                WaitEnd::Over if is_new => return Ok(None),
                WaitEnd::Over => {}
            }
        }
    }

    fn start(database: &S) -> Result<Waiting<P, Result<S::Transaction, Failure>>, Failure> {
        let database = database.clone();
        let begin = move || {
            let begun = database.begin();
            // Dropped first: the receiver of the transaction may close the database with it.
            drop(database);
            begun
        };
        Waiting::start(begin).map_err(Failure::Record)
    }
}
