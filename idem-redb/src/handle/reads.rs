//! Reads: on the caller's thread while pages are cached, and retried while the database is being reopened.

use std::sync::Arc;

use idem_core::backend::{Sent, replay};
use idem_core::clock::Timestamp;
use idem_core::error::Operation;
use idem_core::record::{Record, Replay};
use idem_core::scan::{Cursor, Page, Scan};
use idem_core::{Error, ErrorKind, Fingerprint, Key, Result};
use redb::Database;
use tokio::time::timeout;

use crate::error::{Failure, closed, unavailable};
use crate::handle::calls::Handle;
use crate::stats::{self, RedbStats};
use crate::storage::tables::scan::{self, Position};
use crate::storage::tables::snapshot::Snapshot;
use crate::thread::run_blocking;
use crate::writer::queue::message::Message;

/// How a record is read: with its checkpoint or without.
pub(crate) type Read = fn(&Snapshot, &Key, Timestamp) -> Result<Option<Record>, Failure>;

impl Handle {
    /// The record of `key`. Waits while the database is being reopened, within the call timeout.
    pub(crate) async fn read(
        self: &Arc<Self>,
        key: &Key,
        operation: Operation,
        begun: &Sent,
        how: Read,
    ) -> Result<Option<Record>> {
        let read = if self.state.read_latency.takes_offload() {
            self.read_blocking(*key, operation, how).await?
        } else {
            let read = self.read_at(key, self.state.time.when(begun), how);
            self.state.read_latency.record(begun.elapsed());
            read
        };
        match read {
            // Cold path: boxed to keep the caller's future small.
            Err(failure) if failure.is_transient() => {
                Box::pin(self.read_after_reopening(key, operation, how, failure)).await
            }
            read => read.map_err(|failure| self.failed_read(failure, operation)),
        }
    }

    /// The completion of `key`, where its pages are likely to be cached. What cannot be read is left to the call that
    /// follows.
    pub(crate) fn peek(&self, key: &Key, fingerprint: &Fingerprint) -> Option<Replay> {
        if self.state.read_latency.is_offloading() {
            return None;
        }
        let begun = self.sent();
        let record = self.read_at(key, self.state.time.when(&begun), Snapshot::read_completed);
        // The next call's reads find these pages cached, so only a slow read says anything.
        self.state.read_latency.record_if_slow(begun.elapsed());
        let record = record.ok().flatten()?;
        replay(&record, fingerprint, record.as_of)
    }

    async fn read_after_reopening(
        self: &Arc<Self>,
        key: &Key,
        operation: Operation,
        how: Read,
        failure: Failure,
    ) -> Result<Option<Record>> {
        let last_error = self.failed_read(failure, operation);
        self.retry_while_away_or(operation, last_error, || self.read_blocking(*key, operation, how)).await
    }

    /// What the store holds.
    pub(crate) async fn stats(self: &Arc<Self>) -> Result<RedbStats> {
        const OPERATION: Operation = Operation::Maintain;
        let count = || {
            let handle = Arc::clone(self);
            // It may have to read pages from the disk.
            run_blocking(OPERATION, move || handle.state.slot.scan(stats::count))
        };
        self.retry_while_away(OPERATION, count).await
    }

    /// Lists records.
    pub(crate) async fn scan(self: &Arc<Self>, scan: &Scan, after: Option<&Cursor>) -> Result<Page> {
        let (position, scan) = (Position::of(scan, after)?, Arc::new(scan.clone()));
        let list = || {
            let (handle, scan) = (Arc::clone(self), Arc::clone(&scan));
            run_blocking(Operation::Scan, move || {
                handle.state.slot.scan(|txn| scan::list(txn, &scan, position, handle.state.time.now()))
            })
        };
        self.retry_while_away(Operation::Scan, list).await
    }

    /// The application's database, where the store shares one.
    pub(crate) async fn shared_database(&self) -> Result<Arc<Database>> {
        const OPERATION: Operation = Operation::Maintain;
        if self.state.slot.is_own() {
            let message =
                "the store opened its database itself; share one by with_database or with_database_from";
            return Err(Error::new(ErrorKind::InvalidArgument, OPERATION, message));
        }
        let find = || std::future::ready(Ok(self.state.slot.try_database()));
        self.retry_while_away(OPERATION, find).await
    }

    /// Tries `ask` again at each change while the database is away for a moment, within the call timeout.
    pub(crate) async fn retry_while_away<T, F>(&self, operation: Operation, ask: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<Result<T, Failure>>>,
    {
        self.retry_while_away_or(
            operation,
            unavailable("the database is still being opened again", operation),
            ask,
        )
        .await
    }

    /// As `retry_while_away`. Ends with `last_error` on a timeout.
    async fn retry_while_away_or<T, F>(
        &self,
        operation: Operation,
        mut last_error: Error,
        ask: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Result<T, Failure>>>,
    {
        let mut changes = self.state.slot.changes();
        let answered = async {
            loop {
                changes.mark_unchanged();
                match ask().await? {
                    Err(failure) if failure.is_transient() => {
                        last_error = self.failed_read(failure, operation);
                    }
                    answer => return answer.map_err(|failure| self.failed_read(failure, operation)),
                }
                if changes.changed().await.is_err() {
                    return Err(closed(operation));
                }
            }
        };
        let answered = timeout(self.state.config.call_timeout, answered).await;
        answered.unwrap_or(Err(last_error))
    }

    /// Reads on a blocking thread.
    async fn read_blocking(
        self: &Arc<Self>,
        key: Key,
        operation: Operation,
        how: Read,
    ) -> Result<Result<Option<Record>, Failure>> {
        let handle = Arc::clone(self);
        run_blocking(operation, move || handle.read_at(&key, handle.state.time.now(), how)).await
    }

    fn read_at(&self, key: &Key, now: Timestamp, how: Read) -> Result<Option<Record>, Failure> {
        let record = self.state.slot.read(|snapshot| how(snapshot, key, now))?;
        Ok(record.filter(|record| !record.is_expired(now)))
    }

    /// The error of a failed read. Where redb refuses work until it is reopened, the writer is told.
    pub(crate) fn failed_read(&self, failure: Failure, operation: Operation) -> Error {
        // One request is enough, whatever the number of readers. A full queue holds writes, which meet the same error.
        if failure.needs_reopen()
            && !self.state.slot.swap_check_requested(true)
            && self.queue.try_send(Message::Reopen).is_err()
        {
            self.state.slot.swap_check_requested(false);
        }
        failure.into_error(operation)
    }
}
