//! Where the database stands: in use, or away for a moment (being opened again, compacted, or closed).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};

use idem_core::{Error, ErrorKind, Operation, Result};
use redb::{Database, ReadTransaction, ReadableDatabase};

use crate::error::Failure;

/// Readers look in and never wait; only the writer puts the database in and takes it out.
#[derive(Debug)]
pub(crate) struct Slot(RwLock<State>);

#[derive(Debug)]
enum State {
    Ready(Arc<Database>),
    Away(&'static str),
}

impl Slot {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self(RwLock::new(State::Ready(database)))
    }

    /// Reads in a transaction of its own, without waiting for anybody.
    pub(crate) fn read<T>(
        &self,
        operation: Operation,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T> {
        let state = match self.0.try_read() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(away("the database is being put aside", operation)),
        };
        match &*state {
            State::Away(why) => Err(away(why, operation)),
            State::Ready(database) => {
                // redb verifies no page when it reads it, so a damaged one can fail its assertions.
                let outcome = catch_unwind(AssertUnwindSafe(|| read(&database.begin_read()?)));
                outcome.unwrap_or(Err(Failure::Panicked)).map_err(|failure| failure.into_error(operation))
            }
        }
    }

    /// The database, for the writer.
    pub(crate) fn database(&self, operation: Operation) -> Result<Arc<Database>> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Ready(database) => Ok(Arc::clone(database)),
            State::Away(why) => Err(away(why, operation)),
        }
    }

    /// Takes the database out, once no reader looks at it any more.
    pub(crate) fn take(&self, why: &'static str) -> Option<Arc<Database>> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Away(why)) {
            State::Ready(database) => Some(database),
            State::Away(_) => None,
        }
    }

    pub(crate) fn put(&self, database: Arc<Database>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = State::Ready(database);
    }
}

pub(crate) fn away(why: &str, operation: Operation) -> Error {
    Error::new(ErrorKind::Unavailable, operation, why)
}
