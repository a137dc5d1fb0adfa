//! The writer's work on the database as a whole: compacting, replacing and closing it.

use std::sync::Arc;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use redb::Database;

use crate::error::{Away, Failure};
use crate::storage::guard::{drop_guarded, guarded};
use crate::writer::queue::message::{Message, Reply, refuse, send};
use crate::writer::worker::Writer;

const CLOSED: Away = Away::new(ErrorKind::Closed, "the store is closed; open it anew");
const COMPACTING: Away = Away::transient("the database is being compacted");
const REPLACING: Away = Away::new(ErrorKind::Unavailable, "the database is being replaced");

impl Writer {
    /// Compacts the database, at a caller's request.
    pub(crate) fn compact(&mut self, reply: Reply<bool>) {
        let compacted = self.try_compact();
        send(reply, compacted.as_ref().copied().map_err(|failure| failure.to_error(Operation::Maintain)));
        self.recover(compacted.map(drop));
    }

    /// Shrinks the file on the store's own initiative.
    pub(crate) fn shrink(&mut self) {
        let done = self.try_compact();
        match &done {
            Ok(done) => tracing::info!(done, "the store gave free pages back to the file system"),
            Err(failure) => {
                let error = failure.to_error(Operation::Maintain);
                tracing::warn!(error = &error as &dyn std::error::Error, "free pages cannot be given back");
            }
        }
        self.recover(done.map(drop));
    }

    /// Compacts the database; returns whether there was anything to give back. Calls wait meanwhile.
    fn try_compact(&mut self) -> Result<bool, Failure> {
        let refused = |kind, why| Failure::Record(Error::new(kind, Operation::Maintain, why));
        if self.own.is_none() {
            let why = "the database is the application's own, which compacts it itself";
            return Err(refused(ErrorKind::InvalidArgument, why));
        }
        drop_guarded(self.database()?);
        let Some(database) = self.state.slot.take(COMPACTING) else {
            return Err(refused(ErrorKind::Unavailable, "the database is away"));
        };
        let mut database = match Arc::try_unwrap(database) {
            Ok(database) => database,
            Err(database) => {
                self.state.slot.put(database);
                return Err(refused(ErrorKind::Unavailable, "the database is in use"));
            }
        };
        let compacted = guarded(|| database.compact().map_err(Failure::latched));
        self.transactions.compacted();
        self.state.slot.put(Arc::new(database));
        compacted
    }

    pub(crate) fn replace(&mut self, database: Arc<Database>, reply: Reply<()>) {
        if self.own.is_some() {
            let message = "the store opened its database itself, and opens it again by itself";
            return send(reply, Err(Error::new(ErrorKind::InvalidArgument, Operation::Maintain, message)));
        }
        let adopted = guarded(|| self.transactions.adopt(&database));
        if adopted.is_ok() {
            let before = self.state.slot.take(REPLACING);
            self.state.slot.put(database);
            drop_guarded(before);
        }
        send(reply, adopted.map_err(|failure| failure.into_error(Operation::Maintain)));
    }

    /// Commits what was sent before, refuses what comes after, and closes the file.
    pub(crate) fn close(mut self) -> Result<()> {
        self.queue.close();
        while let Some(message) = self.held_back.pop_front().or_else(|| self.queue.try_recv().ok()) {
            match message {
                Message::Call(_) => self.batch(Some(message)),
                other => refuse(other, &CLOSED),
            }
        }
        let has_file = self.state.has_file();
        match (self.state.slot.take(CLOSED), &self.own) {
            (Some(database), Some(_)) if has_file => {
                guarded(|| self.seal(database)).map_err(|failure| failure.into_error(Operation::Close))
            }
            (Some(database), Some(own)) => {
                // A file that has lost its name is no longer written to, not even by redb's closing.
                let _closed = own.storage.revoke();
                drop_guarded(database);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes one more commit: redb keeps the last two, so either of them has everything if the other is damaged.
    fn seal(&mut self, database: Arc<Database>) -> Result<(), Failure> {
        let sealed = self.transactions.commit_mark(&database);
        match Arc::try_unwrap(database) {
            Ok(database) => sealed.and(database.close().map_err(Failure::from)),
            Err(_) => sealed,
        }
    }
}
