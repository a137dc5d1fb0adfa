//! Reads: made where they are asked for while pages are at hand, and through a reopening of the database.

use std::sync::Arc;

use idem_core::{Error, ErrorKind, Key, Operation, Record, Result, Sent, Timestamp};
use redb::Database;
use tokio::time::timeout;

use crate::error::{Failure, away, closed};
use crate::inner::Inner;
use crate::queue::Message;
use crate::snapshot::Snapshot;

/// Of a record, with its checkpoint or without.
pub(crate) type Read = fn(&Snapshot, &Key, Timestamp) -> Result<Option<Record>, Failure>;

impl Inner {
    /// The record of `key`. Waits while the database is being opened anew, within a call's time.
    pub(crate) async fn read(
        self: &Arc<Self>,
        key: &Key,
        operation: Operation,
        begun: &Sent,
        how: Read,
    ) -> Result<Option<Record>> {
        let read = if self.shared.pace.is_slow() {
            self.read_elsewhere(*key, operation, how).await?
        } else {
            let read = self.read_at(key, self.shared.time.when(begun), how);
            self.shared.pace.note(begun.elapsed());
            read
        };
        match read {
            // Cold path: boxed to keep the caller's future small.
            Err(failure) if failure.is_passing() => {
                Box::pin(self.read_once_it_is_back(key, operation, how, failure)).await
            }
            read => read.map_err(|failure| self.failed_read(failure, operation)),
        }
    }

    async fn read_once_it_is_back(
        self: &Arc<Self>,
        key: &Key,
        operation: Operation,
        how: Read,
        failure: Failure,
    ) -> Result<Option<Record>> {
        let mut last = self.failed_read(failure, operation);
        let mut changes = self.shared.slot.changes();
        let read = async {
            loop {
                changes.mark_unchanged();
                match self.read_elsewhere(*key, operation, how).await? {
                    Err(failure) if failure.is_passing() => last = self.failed_read(failure, operation),
                    read => return read.map_err(|failure| self.failed_read(failure, operation)),
                }
                if changes.changed().await.is_err() {
                    return Err(closed(operation));
                }
            }
        };
        let read = timeout(self.shared.config.call_timeout, read).await;
        read.unwrap_or(Err(last))
    }

    /// The application's database, where it is one.
    pub(crate) async fn shared_database(&self) -> Result<Arc<Database>> {
        const OPERATION: Operation = Operation::Maintain;
        if self.shared.slot.is_own() {
            let message =
                "the store opened its database itself; share one by with_database or with_database_from";
            return Err(Error::new(ErrorKind::InvalidArgument, OPERATION, message));
        }
        let mut changes = self.shared.slot.changes();
        let found = async {
            loop {
                changes.mark_unchanged();
                match self.shared.slot.database_at_once() {
                    Err(failure) if failure.is_passing() => {}
                    found => return found.map_err(|failure| failure.into_error(OPERATION)),
                }
                if changes.changed().await.is_err() {
                    return Err(closed(OPERATION));
                }
            }
        };
        let found = timeout(self.shared.config.call_timeout, found).await;
        found.unwrap_or_else(|_| Err(away("the database is still being opened again", OPERATION)))
    }

    /// Reads on a thread that may block.
    async fn read_elsewhere(
        self: &Arc<Self>,
        key: Key,
        operation: Operation,
        how: Read,
    ) -> Result<Result<Option<Record>, Failure>> {
        let inner = Arc::clone(self);
        let read = move || inner.read_at(&key, inner.shared.time.now(), how);
        tokio::task::spawn_blocking(read).await.map_err(|source| {
            Error::new(ErrorKind::Unavailable, operation, "the read was cut off").with_source(source)
        })
    }

    fn read_at(&self, key: &Key, now: Timestamp, how: Read) -> Result<Option<Record>, Failure> {
        let record = self.shared.slot.read(|snapshot| how(snapshot, key, now))?;
        Ok(record.filter(|record| !record.is_expired(now)))
    }

    /// The error of a failed read; where redb works no more after it, the writer is told.
    pub(crate) fn failed_read(&self, failure: Failure, operation: Operation) -> Error {
        // Once is enough, whatever the number of readers. A full queue has writes in it, and they meet the same error.
        if failure.needs_reopen()
            && !self.shared.slot.look_asked(true)
            && self.queue.try_send(Message::Reopen).is_err()
        {
            self.shared.slot.look_asked(false);
        }
        failure.into_error(operation)
    }
}
