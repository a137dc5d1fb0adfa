//! One lane of the writer's queue, and how the writer's thread sleeps until a message comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use idem_core::clock::{Clock, SystemClock};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

/// One lane, first in, first out.
pub(crate) struct Lane<T> {
    receiver: Receiver<T>,
    /// Received from the channel, and not taken yet.
    heads: VecDeque<T>,
    has_ended: bool,
}

impl<T> Lane<T> {
    pub(crate) fn new(receiver: Receiver<T>) -> Self {
        Self { receiver, heads: VecDeque::new(), has_ended: false }
    }

    /// The first message.
    pub(crate) fn peek(&mut self) -> Option<&T> {
        if self.heads.is_empty() {
            match self.receiver.try_recv() {
                Ok(head) => self.heads.push_back(head),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.has_ended = true,
            }
        }
        self.heads.front()
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        self.peek()?;
        self.heads.pop_front()
    }

    /// Puts a message before all others.
    pub(crate) fn give_back(&mut self, first: T) {
        self.heads.push_front(first);
    }

    /// Whether there is a message; wakes `context` when one comes.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if self.heads.is_empty() && !self.has_ended {
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(head)) => self.heads.push_back(head),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Pending => {}
            }
        }
        !self.heads.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.receiver.len() + self.heads.len()
    }

    /// Whether no further message will come, as of the last receive.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended && self.heads.is_empty()
    }

    /// Accepts no more messages; those in it can still be taken.
    pub(crate) fn close(&mut self) {
        self.receiver.close();
    }
}

/// Parks the thread until `poll` is ready, as tokio's `blocking_recv` does for one channel; `None` after `timeout`.
pub(crate) fn block_on<T>(
    timeout: Option<Duration>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let begun = SystemClock.monotonic();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(ready) = poll(&mut context) {
            return Some(ready);
        }
        match timeout {
            None => thread::park(),
            Some(timeout) => {
                let left = timeout.checked_sub(SystemClock.monotonic().saturating_sub(begun))?;
                thread::park_timeout(left);
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
