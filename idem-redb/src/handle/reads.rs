//! Reads: made where they are asked for while pages are at hand, and through a reopening of the database.

use std::sync::Arc;

use idem_core::backend::{Sent, replay};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::record::{Record, Replay};
use idem_core::{Error, ErrorKind, Fingerprint, Key, Result};
use redb::Database;
use tokio::time::timeout;

use crate::error::{Failure, away, closed};
use crate::handle::calls::Inner;
use crate::stats::{self, RedbStats};
use crate::storage::tables::snapshot::Snapshot;
use crate::thread::elsewhere;
use crate::writer::queue::message::Message;

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

    /// The completion of `key`, where its pages are likely to be at hand. What cannot be read is left to the call that
    /// follows.
    pub(crate) fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
        if self.shared.pace.reads_elsewhere() {
            return None;
        }
        let begun = self.sent();
        let record = self.read_at(key, self.shared.time.when(&begun), Snapshot::read_completed);
        // The reads of the call that follows find these pages at hand: they tell nothing.
        self.shared.pace.note_slow(begun.elapsed());
        let record = record.ok().flatten()?;
        replay(&record, fingerprint, record.as_of)
    }

    async fn read_once_it_is_back(
        self: &Arc<Self>,
        key: &Key,
        operation: Operation,
        how: Read,
        failure: Failure,
    ) -> Result<Option<Record>> {
        let told = self.failed_read(failure, operation);
        self.once_it_is_back_or(operation, told, || self.read_elsewhere(*key, operation, how)).await
    }

    /// What the store holds.
    pub(crate) async fn stats(self: &Arc<Self>) -> Result<RedbStats> {
        const OPERATION: Operation = Operation::Maintain;
        let count = || {
            let inner = Arc::clone(self);
            // A page may have to come from the disk.
            elsewhere(OPERATION, move || inner.shared.slot.scan(stats::count))
        };
        self.once_it_is_back(OPERATION, count).await
    }

    /// The application's database, where it is one.
    pub(crate) async fn shared_database(&self) -> Result<Arc<Database>> {
        const OPERATION: Operation = Operation::Maintain;
        if self.shared.slot.is_own() {
            let message =
                "the store opened its database itself; share one by with_database or with_database_from";
            return Err(Error::new(ErrorKind::InvalidArgument, OPERATION, message));
        }
        let find = || std::future::ready(Ok(self.shared.slot.database_at_once()));
        self.once_it_is_back(OPERATION, find).await
    }

    /// Asks, and again at each change while the database is away for a moment, within a call's time.
    pub(crate) async fn once_it_is_back<T, F>(&self, operation: Operation, ask: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<Result<T, Failure>>>,
    {
        self.once_it_is_back_or(operation, away("the database is still being opened again", operation), ask)
            .await
    }

    /// The same. Ends with what was `told` last.
    async fn once_it_is_back_or<T, F>(
        &self,
        operation: Operation,
        mut told: Error,
        ask: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Result<T, Failure>>>,
    {
        let mut changes = self.shared.slot.changes();
        let answered = async {
            loop {
                changes.mark_unchanged();
                match ask().await? {
                    Err(failure) if failure.is_passing() => told = self.failed_read(failure, operation),
                    answer => return answer.map_err(|failure| self.failed_read(failure, operation)),
                }
                if changes.changed().await.is_err() {
                    return Err(closed(operation));
                }
            }
        };
        let answered = timeout(self.shared.config.call_timeout, answered).await;
        answered.unwrap_or(Err(told))
    }

    /// Reads on a thread that may block.
    async fn read_elsewhere(
        self: &Arc<Self>,
        key: Key,
        operation: Operation,
        how: Read,
    ) -> Result<Result<Option<Record>, Failure>> {
        let inner = Arc::clone(self);
        elsewhere(operation, move || inner.read_at(&key, inner.shared.time.now(), how)).await
    }

    fn read_at(&self, key: &Key, now: Timestamp, how: Read) -> Result<Option<Record>, Failure> {
        let record = self.shared.slot.read(|snapshot| how(snapshot, key, now))?;
        Ok(record.filter(|record| !record.is_expired(now)))
    }

    /// The error of a failed read; where redb works no more after it, the writer is told.
    pub(crate) fn failed_read(&self, failure: Failure, operation: Operation) -> Error {
        // Once is enough, whatever the number of readers. A full queue has writes in it, and they meet the same error.
        if failure.needs_reopen()
            && !self.shared.slot.swap_look_asked(true)
            && self.queue.try_send(Message::Reopen).is_err()
        {
            self.shared.slot.swap_look_asked(false);
        }
        failure.into_error(operation)
    }
}
