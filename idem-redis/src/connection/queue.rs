//! What is to be sent on a connection, and who waits for the answers, which come in the same order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::protocol::command::Command;
use crate::protocol::fault::{Cause, Fault};
use crate::protocol::reply::Reply;

/// Commands whose answers have not come: beyond that many the server is not keeping up, and is not asked.
const MOST_WAITING: usize = 16_384;
/// Bytes that wait to be written, beyond which likewise. One command may have more, when none waits.
const MOST_BYTES: usize = 16 << 20;
/// From here on bytes are written from where they are, and not copied.
const LARGE: usize = 16 << 10;

/// The way of one answer to its caller.
pub(super) type Answer = oneshot::Receiver<Result<Reply, Fault>>;
type Caller = oneshot::Sender<Result<Reply, Fault>>;

/// Shared by the callers and the task that serves a connection.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// There is something to write.
    filled: Notify,
    has_ended: AtomicBool,
    has_subscribed: AtomicBool,
}

#[derive(Default)]
struct Inner {
    outgoing: Outgoing,
    waiting: VecDeque<Waiting>,
    /// How many of those who wait, at the end, have not been handed to the writer yet.
    unwritten: usize,
    ended: Option<Cause>,
}

/// One command whose answer has not come.
struct Waiting {
    since: Instant,
    turn: Turn,
}

enum Turn {
    /// A caller may have gone; its answer comes all the same.
    Caller(Caller),
    /// That of a command that only goes before another.
    Nobody,
    /// The beginning or end of notifications: answered by an error, or by nothing but a push message. What follows it
    /// is answered by a list in any case, and tells which.
    Subscription(Caller),
    /// What follows it.
    Fence,
}

/// Commands as they are written: what is small in one piece, what is large where it is.
#[derive(Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes of the pieces.
    bytes: usize,
    /// Bytes that the writer has taken, and not written yet.
    writing: usize,
}

impl Outgoing {
    /// Where small pieces go.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    pub(crate) fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < LARGE {
            self.tail.put_slice(bytes);
        } else {
            self.close();
            self.bytes += bytes.len();
            self.pieces.push_back(bytes.clone());
        }
    }

    /// Ends the tail; what it takes up from now on is another piece.
    fn close(&mut self) {
        if !self.tail.is_empty() {
            self.bytes += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    fn take(&mut self) -> VecDeque<Bytes> {
        self.close();
        self.writing += std::mem::take(&mut self.bytes);
        std::mem::take(&mut self.pieces)
    }

    /// How many bytes wait to be written.
    fn len(&self) -> usize {
        self.writing + self.bytes + self.tail.len()
    }
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

    /// Queues `command`; `before` it, if need be, another whose answer nobody looks at.
    pub(super) fn push(&self, command: &Command, before: Option<&Command>) -> Result<Answer, Fault> {
        let (caller, answer) = oneshot::channel();
        let turn = Turn::Caller(caller);
        match before {
            None => self.push_all([(command, turn)])?,
            Some(before) => self.push_all([(before, Turn::Nobody), (command, turn)])?,
        }
        Ok(answer)
    }

    /// Queues three commands, between which no other comes; `before` them as above.
    pub(super) fn push_three(
        &self,
        [first, second, third]: [&Command; 3],
        before: Option<&Command>,
    ) -> Result<[Answer; 3], Fault> {
        let ((a, first_answer), (b, second_answer), (c, third_answer)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        let turns = [(first, Turn::Caller(a)), (second, Turn::Caller(b)), (third, Turn::Caller(c))];
        match before {
            None => self.push_all(turns)?,
            Some(before) => {
                let [first, second, third] = turns;
                self.push_all([(before, Turn::Nobody), first, second, third])?;
            }
        }
        Ok([first_answer, second_answer, third_answer])
    }

    /// Queues `command`, which begins or ends notifications, and `fence`, which is answered by a list.
    pub(super) fn push_subscription(&self, command: &Command, fence: &Command) -> Result<Answer, Fault> {
        self.has_subscribed.store(true, Ordering::Release);
        let (caller, answer) = oneshot::channel();
        self.push_all([(command, Turn::Subscription(caller)), (fence, Turn::Fence)])?;
        Ok(answer)
    }

    fn push_all<const N: usize>(&self, commands: [(&Command, Turn); N]) -> Result<(), Fault> {
        let since = Instant::now();
        let mut inner = self.inner();
        if let Some(cause) = &inner.ended {
            return Err(Fault::Later(cause.clone()));
        }
        let is_first = inner.unwritten == 0;
        for (number, (command, turn)) in commands.into_iter().enumerate() {
            let waiting = inner.outgoing.len();
            // Commands that belong together are not torn apart.
            let is_full =
                inner.waiting.len() >= MOST_WAITING || (waiting > 0 && waiting + command.len() > MOST_BYTES);
            if is_full && number == 0 {
                return Err(Fault::Later(Cause::new("the server does not keep up")));
            }
            command.write(&mut inner.outgoing);
            inner.waiting.push_back(Waiting { since, turn });
            inner.unwritten += 1;
        }
        drop(inner);
        if is_first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits until there is something to write, and takes it.
    pub(super) async fn filled(&self) -> VecDeque<Bytes> {
        loop {
            if self.inner().unwritten > 0 {
                // Lets those run who have just been answered, and are about to call again: what they send shares the
                // system call.
                tokio::task::yield_now().await;
                let mut inner = self.inner();
                inner.unwritten = 0;
                return inner.outgoing.take();
            }
            self.filled.notified().await;
        }
    }

    /// The writer has written `bytes` of what it took.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut inner = self.inner();
        inner.outgoing.writing = inner.outgoing.writing.saturating_sub(bytes);
    }

    /// Gives `replies` to those whose turn it is. An answer that nobody can have asked for is an error: from then on
    /// answers and callers would not belong together.
    pub(super) fn answer(&self, replies: &mut Vec<Reply>) -> Result<(), Cause> {
        let mut answered = Vec::with_capacity(replies.len());
        let matched = self.match_up(replies, &mut answered);
        // Outside the lock, which those who are woken want next. A caller that has gone does not mind.
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
            match inner.waiting.pop_front().map(|waiting| waiting.turn) {
                Some(Turn::Caller(caller)) => answered.push((caller, reply)),
                Some(Turn::Nobody) => {}
                Some(Turn::Subscription(caller)) => {
                    // No error came, so this answers what follows.
                    if matches!(reply, Reply::Array(_)) {
                        inner.waiting.pop_front();
                    }
                    answered.push((caller, reply));
                }
                Some(Turn::Fence) if matches!(reply, Reply::Array(_)) => {}
                Some(Turn::Fence) | None => return unasked(),
            }
        }
        Ok(())
    }

    /// For how long the command has waited whose answer is the next.
    pub(super) fn waited(&self) -> Duration {
        self.inner().waiting.front().map_or(Duration::ZERO, |waiting| waiting.since.elapsed())
    }

    /// Whether notifications may come by this connection.
    pub(super) fn has_subscribed(&self) -> bool {
        self.has_subscribed.load(Ordering::Acquire)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.has_ended.load(Ordering::Acquire)
    }

    /// Tells all who wait that no answer will come. Of what was not written nothing was done.
    pub(super) fn end(&self, cause: &Cause) {
        let mut inner = self.inner();
        if inner.ended.is_some() {
            return;
        }
        inner.ended = Some(cause.clone());
        self.has_ended.store(true, Ordering::Release);
        let written = inner.waiting.len() - inner.unwritten;
        inner.outgoing = Outgoing::default();
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        for (number, waiting) in waiting.into_iter().enumerate() {
            let fault = if number < written { Fault::Unknown } else { Fault::Later };
            if let Turn::Caller(caller) | Turn::Subscription(caller) = waiting.turn {
                let _ = caller.send(Err(fault(cause.clone())));
            }
        }
    }
}
