//! The commands to be sent on a connection, and the callers that wait for the answers. Answers come in the order of the
//! commands.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::protocol::command::Command;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;
use crate::protocol::write_buffer::WriteBuffer;

/// How many commands may be in flight. Beyond that the server is not keeping up, and further commands are refused.
const MAX_IN_FLIGHT: usize = 16_384;
/// How many bytes may wait to be written. A single larger command is accepted when nothing else waits.
const MAX_UNWRITTEN_BYTES: usize = 16 << 20;

/// Where a caller gets its answer.
pub(super) type Answer = oneshot::Receiver<Result<Reply, AttemptError>>;
type Caller = oneshot::Sender<Result<Reply, AttemptError>>;

/// Shared by the callers and the task that serves a connection.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Notified when there is something to write.
    filled: Notify,
    has_ended: AtomicBool,
    has_subscribed: AtomicBool,
}

#[derive(Default)]
struct Inner {
    buffer: WriteBuffer,
    waiting: VecDeque<PendingReply>,
    /// How many commands at the end of `waiting` have not been handed to the writer yet.
    unwritten: usize,
    ended: Option<Cause>,
}

/// A command whose answer has not come yet.
struct PendingReply {
    since: Instant,
    recipient: Recipient,
}

enum Recipient {
    /// The caller may have been dropped; the server still sends its answer.
    Caller(Caller),
    /// The answer is discarded: the command only prepares the next one.
    Nobody,
    /// Subscribing or unsubscribing. The server answers with an error, or with nothing but a push message. The fence that
    /// follows is always answered with a list, and so tells which of the two happened.
    Subscription(Caller),
    /// The command after a subscription. Its answer shows that the subscription was processed.
    Fence,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
            filled: Notify::new(),
            has_ended: AtomicBool::new(false),
            has_subscribed: AtomicBool::new(false),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `command`. `before` is queued ahead of it, and its answer is discarded.
    pub(super) fn push(&self, command: &Command, before: Option<&Command>) -> Result<Answer, AttemptError> {
        let (caller, answer) = oneshot::channel();
        let recipient = Recipient::Caller(caller);
        match before {
            None => self.push_all([(command, recipient)])?,
            Some(before) => self.push_all([(before, Recipient::Nobody), (command, recipient)])?,
        }
        Ok(answer)
    }

    /// Queues three commands with no other command between them. `before` is as for [`push`](Self::push).
    pub(super) fn push_three(
        &self,
        [first, second, third]: [&Command; 3],
        before: Option<&Command>,
    ) -> Result<[Answer; 3], AttemptError> {
        let ((a, first_answer), (b, second_answer), (c, third_answer)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        let commands =
            [(first, Recipient::Caller(a)), (second, Recipient::Caller(b)), (third, Recipient::Caller(c))];
        match before {
            None => self.push_all(commands)?,
            Some(before) => {
                let [first, second, third] = commands;
                self.push_all([(before, Recipient::Nobody), first, second, third])?;
            }
        }
        Ok([first_answer, second_answer, third_answer])
    }

    /// Queues `command`, which subscribes or unsubscribes, and `fence`, which is answered with a list.
    pub(super) fn push_subscription(
        &self,
        command: &Command,
        fence: &Command,
    ) -> Result<Answer, AttemptError> {
        self.has_subscribed.store(true, Ordering::Release);
        let (caller, answer) = oneshot::channel();
        self.push_all([(command, Recipient::Subscription(caller)), (fence, Recipient::Fence)])?;
        Ok(answer)
    }

    fn push_all<const N: usize>(&self, commands: [(&Command, Recipient); N]) -> Result<(), AttemptError> {
        let since = Instant::now();
        let mut inner = self.inner();
        if let Some(cause) = &inner.ended {
            return Err(AttemptError::Later(cause.clone()));
        }
        let is_first = inner.unwritten == 0;
        for (number, (command, recipient)) in commands.into_iter().enumerate() {
            let waiting = inner.buffer.len();
            // Only the first command may be refused, so that commands that belong together stay together.
            let is_full = inner.waiting.len() >= MAX_IN_FLIGHT
                || (waiting > 0 && waiting + command.len() > MAX_UNWRITTEN_BYTES);
            if is_full && number == 0 {
                return Err(AttemptError::Later(Cause::new("the server does not keep up")));
            }
            command.write(&mut inner.buffer);
            inner.waiting.push_back(PendingReply { since, recipient });
            inner.unwritten += 1;
        }
        drop(inner);
        if is_first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits until there is something to write, and takes it out.
    pub(super) async fn filled(&self) -> VecDeque<Bytes> {
        loop {
            if self.inner().unwritten > 0 {
                // Callers that have just been answered often call again at once. They run first, so that their commands
                // share the system call.
                tokio::task::yield_now().await;
                let mut inner = self.inner();
                inner.unwritten = 0;
                return inner.buffer.take();
            }
            self.filled.notified().await;
        }
    }

    /// Records that the writer has written `bytes` of what it took.
    pub(super) fn wrote(&self, bytes: usize) {
        self.inner().buffer.written(bytes);
    }

    /// Hands `replies` to the waiting callers, in order. An answer to no command is an error: from then on, answers would
    /// go to the wrong callers.
    pub(super) fn answer(&self, replies: &mut Vec<Reply>) -> Result<(), Cause> {
        let mut answered = Vec::with_capacity(replies.len());
        let matched = self.match_up(replies, &mut answered);
        // After the lock is released, since the woken callers take it next. A failed send means that the caller was dropped.
        for (caller, reply) in answered {
            let _ = caller.send(Ok(reply));
        }
        matched
    }

    fn match_up(&self, replies: &mut Vec<Reply>, answered: &mut Vec<(Caller, Reply)>) -> Result<(), Cause> {
        let mut inner = self.inner();
        let unasked = || Err(Cause::new("it sent an answer that nobody had asked for"));
        for reply in replies.drain(..) {
            if inner.waiting.len() <= inner.unwritten {
                return unasked();
            }
            match inner.waiting.pop_front().map(|waiting| waiting.recipient) {
                Some(Recipient::Caller(caller)) => answered.push((caller, reply)),
                Some(Recipient::Nobody) => {}
                Some(Recipient::Subscription(caller)) => {
                    // A list is the answer to the fence, so the subscription was answered with a push message.
                    if matches!(reply, Reply::Array(_)) {
                        inner.waiting.pop_front();
                    }
                    answered.push((caller, reply));
                }
                Some(Recipient::Fence) if matches!(reply, Reply::Array(_)) => {}
                Some(Recipient::Fence) | None => return unasked(),
            }
        }
        Ok(())
    }

    /// How long the oldest command in flight has waited for its answer.
    pub(super) fn waited(&self) -> Duration {
        self.inner().waiting.front().map_or(Duration::ZERO, |waiting| waiting.since.elapsed())
    }

    /// Whether notifications may arrive on this connection.
    pub(super) fn has_subscribed(&self) -> bool {
        self.has_subscribed.load(Ordering::Acquire)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.has_ended.load(Ordering::Acquire)
    }

    /// Fails all commands in flight. Those that the writer has not taken yet had no effect.
    pub(super) fn end(&self, cause: &Cause) {
        let mut inner = self.inner();
        if inner.ended.is_some() {
            return;
        }
        inner.ended = Some(cause.clone());
        self.has_ended.store(true, Ordering::Release);
        let written = inner.waiting.len() - inner.unwritten;
        inner.buffer = WriteBuffer::default();
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        for (number, waiting) in waiting.into_iter().enumerate() {
            let error = if number < written { AttemptError::Unknown } else { AttemptError::Later };
            if let Recipient::Caller(caller) | Recipient::Subscription(caller) = waiting.recipient {
                let _ = caller.send(Err(error(cause.clone())));
            }
        }
    }
}
