//! The handle that a store's callers have: it answers from reads where it can, and queues the rest for the writer.

use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use idem_core::backend::{Answer, Applied, Call, Change, Sent, decide};
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Key, Result};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::config::WhenQueueFull;
use crate::database::state::StoreState;
use crate::error::{closed, unavailable};
use crate::storage::tables::snapshot::Snapshot;
use crate::writer::closed::Closed;
use crate::writer::queue::message::{Message, QueuedCall};
use crate::writer::queue::priority::QueueSender;

pub(crate) struct Handle {
    pub(crate) state: Arc<StoreState>,
    pub(crate) queue: QueueSender,
    /// How the store was closed, once it is.
    pub(super) closed: watch::Receiver<Option<Closed>>,
    /// Dropping it with the store ends the sweeper.
    pub(super) _stop: std_mpsc::Sender<()>,
}

impl Handle {
    pub(crate) fn sent(&self) -> Sent {
        Sent::now(self.state.time.source())
    }

    /// Answers a `lock` from the record when the call changes nothing; leaves the rest to the writer.
    pub(crate) async fn lock(self: &Arc<Self>, key: &Key, call: Call, sent: &Sent) -> Result<Applied> {
        let begun = Instant::now();
        // No answer given here needs the checkpoint.
        let record = self.read(key, Operation::Lock, sent, Snapshot::read_without_checkpoint).await?;
        if let Some(record) = record {
            let now = record.as_of;
            let decision = decide(Some(&record), call.clone(), now);
            // A resent `lock` must queue behind the caller's own earlier calls, such as a release.
            if decision.change == Change::None && !matches!(decision.answer, Answer::Acquired(_)) {
                return Ok(Applied { answer: decision.answer, wrote: false });
            }
        }
        // The read used up a part of the timeout.
        let left = self.state.config.call_timeout.saturating_sub(begun.elapsed());
        self.write(key, call, left).await
    }

    /// Leaves `call` to the writer.
    pub(crate) async fn call(&self, key: &Key, call: Call) -> Result<Applied> {
        self.write(key, call, self.state.config.call_timeout).await
    }

    async fn write(&self, key: &Key, call: Call, limit: Duration) -> Result<Applied> {
        let operation = call.operation();
        let (reply, answer) = oneshot::channel();
        let sent = self.enqueue(operation, Message::Call(QueuedCall { key: *key, call, reply }));
        self.answered(operation, limit, sent, answer).await
    }

    /// Closes the store, and waits until it is closed, even when another caller began closing it.
    pub(crate) async fn close(&self) -> Result<()> {
        let mut closed = self.closed.clone();
        let ended = async {
            // Closing waits for a place in a full queue. A closed queue takes no message.
            let _closing_already = self.queue.send(Message::Close).await;
            match closed.wait_for(Option::is_some).await {
                Ok(how) => how.as_ref().map_or(Ok(()), Closed::result),
                Err(_) => Err(unavailable("the writer is gone", Operation::Close)),
            }
        };
        let limit = self.state.config.call_timeout;
        timeout(limit, ended).await.unwrap_or_else(|_| Err(no_answer(limit, Operation::Close)))
    }

    /// Sends `message` to the writer and waits for `answer`, within the configured timeout.
    pub(crate) async fn ask<T>(
        &self,
        operation: Operation,
        message: Message,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let limit = self.state.config.call_timeout;
        self.answered(operation, limit, self.enqueue(operation, message), answer).await
    }

    /// Waits until the message is `sent`, then for `answer`, within `limit`.
    pub(crate) async fn answered<T>(
        &self,
        operation: Operation,
        limit: Duration,
        sent: impl Future<Output = Result<()>>,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let asked = async {
            sent.await?;
            answer.await.unwrap_or_else(|_| Err(closed(operation)))
        };
        timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(no_answer(self.state.config.call_timeout, operation)))
    }

    async fn enqueue(&self, operation: Operation, message: Message) -> Result<()> {
        match self.state.config.when_queue_full {
            WhenQueueFull::Refuse => self.queue.try_send(message).map_err(|error| match error {
                TrySendError::Full(()) => unavailable("the writer's queue is full", operation),
                TrySendError::Closed(()) => closed(operation),
            }),
            WhenQueueFull::Wait => self.queue.send(message).await.map_err(|_| closed(operation)),
        }
    }
}

fn no_answer(limit: Duration, operation: Operation) -> Error {
    let message = format!(
        "no answer within {limit:?}: the disk is slow, or the application awaits the store inside its own write \
         transaction on the same database"
    );
    Error::new(ErrorKind::Timeout, operation, message)
}
