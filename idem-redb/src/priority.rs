//! The writer's queue: holders' calls go before new locks.
//!
//! A holder whose renewal waits behind a long queue of new locks loses its lease, and the take-over adds a lock to
//! the queue. So holders have places of their own, and the writer takes their calls first. Two rules bound that:
//! of every four calls one is a lock where locks wait, and no lock overtakes a holder's call that was sent before
//! it, since a caller that sends its `lock` again must find its own release done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use idem_core::decide::Call;
use idem_core::{Clock, SystemClock};
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::queue::Message;
use crate::sweep_plan::QueuedSweep;

/// How many of a holder's calls are taken before it is a lock's turn.
const HOLDERS_IN_A_ROW: u32 = 3;

/// A message, and how many were sent before it.
type Numbered = (u64, Message);

/// Two queues of `places` each: for holders' calls and for the others; and the sweep that is next.
pub(crate) fn queue(places: usize) -> (QueueSender, QueueReceiver) {
    let (holders, from_holders) = channel(places);
    let (others, from_others) = channel(places);
    let (sweeps, from_sweeps) = channel(1);
    let sender = QueueSender { holders, others, sweeps, sent: AtomicU64::new(0) };
    let receiver = QueueReceiver {
        holders: Lane::new(from_holders),
        others: Lane::new(from_others),
        sweeps: from_sweeps,
        sweep: None,
        holders_in_a_row: 0,
    };
    (sender, receiver)
}

/// The callers' end.
#[derive(Debug)]
pub(crate) struct QueueSender {
    holders: Sender<Numbered>,
    others: Sender<Numbered>,
    /// Does not keep the writer from ending.
    pub(crate) sweeps: Sender<QueuedSweep>,
    sent: AtomicU64,
}

impl QueueSender {
    /// Waits for a place in the message's queue. An error: the writer is gone.
    pub(crate) async fn send(&self, message: Message) -> Result<(), SendError<()>> {
        let place = self.lane(&message).reserve().await?;
        place.send((self.number(), message));
        Ok(())
    }

    pub(crate) fn try_send(&self, message: Message) -> Result<(), TrySendError<()>> {
        let place = self.lane(&message).try_reserve()?;
        place.send((self.number(), message));
        Ok(())
    }

    fn lane(&self, message: &Message) -> &Sender<Numbered> {
        match message {
            Message::Call(queued) if matches!(queued.call, Call::Lock { .. } | Call::Remove { .. }) => {
                &self.others
            }
            _ => &self.holders,
        }
    }

    fn number(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }
}

/// The writer's end.
pub(crate) struct QueueReceiver {
    holders: Lane,
    others: Lane,
    sweeps: Receiver<QueuedSweep>,
    sweep: Option<QueuedSweep>,
    holders_in_a_row: u32,
}

impl QueueReceiver {
    /// The next message in turn.
    pub(crate) fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        let (holder, other) = (self.holders.peek(), self.others.peek());
        let is_others_turn = match (holder, other) {
            (Some(holder), Some(other)) => self.holders_in_a_row >= HOLDERS_IN_A_ROW && other < holder,
            (None, _) => true,
            (Some(_), None) => false,
        };
        let next = if is_others_turn {
            self.holders_in_a_row = 0;
            self.others.head.take()
        } else {
            self.holders_in_a_row = self.holders_in_a_row.saturating_add(1);
            self.holders.head.take()
        };
        match next {
            Some((_, message)) => Ok(message),
            None if self.has_ended() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Whether no message will come any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.holders.has_ended && self.others.has_ended
    }

    /// The next sweep, if one waits.
    pub(crate) fn try_sweep(&mut self) -> Option<QueuedSweep> {
        self.sweep.take().or_else(|| self.sweeps.try_recv().ok())
    }

    /// Waits until a message or a sweep can be taken, for no longer than `patience` where there is one.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> Waited {
        block_on(patience, |context| self.poll(context)).unwrap_or(Waited::TimedOut)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Waited> {
        // Each is asked, so that each will wake.
        let waits = [self.holders.poll(context), self.others.poll(context)];
        if self.sweep.is_none()
            && let Poll::Ready(Some(sweep)) = self.sweeps.poll_recv(context)
        {
            self.sweep = Some(sweep);
        }
        if self.sweep.is_some() || waits.contains(&true) {
            Poll::Ready(Waited::Ready)
        } else if self.has_ended() {
            Poll::Ready(Waited::Ended)
        } else {
            Poll::Pending
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.holders.len() + self.others.len()
    }

    /// Takes nothing more; what is there already can be received.
    pub(crate) fn close(&mut self) {
        self.holders.receiver.close();
        self.others.receiver.close();
        self.sweeps.close();
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// A message or a sweep can be taken.
    Ready,
    /// No message will come any more.
    Ended,
    /// Nothing came in time.
    TimedOut,
}

/// One of the two queues.
struct Lane {
    receiver: Receiver<Numbered>,
    head: Option<Numbered>,
    has_ended: bool,
}

impl Lane {
    fn new(receiver: Receiver<Numbered>) -> Self {
        Self { receiver, head: None, has_ended: false }
    }

    /// The number of the first message.
    fn peek(&mut self) -> Option<u64> {
        if self.head.is_none() {
            match self.receiver.try_recv() {
                Ok(head) => self.head = Some(head),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.has_ended = true,
            }
        }
        self.head.as_ref().map(|(number, _)| *number)
    }

    /// Whether there is a message; wakes `context` when one comes.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if self.head.is_none() && !self.has_ended {
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(head)) => self.head = Some(head),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Pending => {}
            }
        }
        self.head.is_some()
    }

    fn len(&self) -> usize {
        self.receiver.len() + usize::from(self.head.is_some())
    }
}

/// Lets the writer's thread sleep until it is woken, as tokio's own `blocking_recv` does for one channel; `None` once
/// `patience` is over.
fn block_on<T>(patience: Option<Duration>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let begun = SystemClock.monotonic();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match poll(&mut context) {
            Poll::Ready(ready) => return Some(ready),
            Poll::Pending => {}
        }
        match patience {
            None => thread::park(),
            Some(patience) => {
                let left = patience.checked_sub(SystemClock.monotonic().saturating_sub(begun))?;
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use idem_core::{Key, Scope};
    use tokio::sync::oneshot;

    use super::*;
    use crate::queue::QueuedCall;

    /// `Reopen` stands for a holder's call: it goes the same way.
    fn holder(sender: &QueueSender) {
        sender.try_send(Message::Reopen).unwrap();
    }

    fn other(sender: &QueueSender) {
        let key = Key::new(&Scope::shared(), "a").unwrap();
        let (reply, _) = oneshot::channel();
        sender
            .try_send(Message::Call(QueuedCall { key, call: Call::Remove { force: false }, reply }))
            .unwrap();
    }

    fn order(receiver: &mut QueueReceiver) -> String {
        let name = |message| if matches!(message, Message::Reopen) { 'h' } else { 'o' };
        std::iter::from_fn(|| receiver.try_recv().ok()).map(name).collect()
    }

    #[test]
    fn holders_go_first_and_the_others_have_a_share() {
        let (sender, mut receiver) = queue(100);
        (0..4).for_each(|_| other(&sender));
        (0..9).for_each(|_| holder(&sender));
        assert_eq!(order(&mut receiver), "hhhohhhohhhoo");
    }

    #[test]
    fn no_other_call_overtakes_a_holders_that_was_sent_before() {
        let (sender, mut receiver) = queue(100);
        (0..7).for_each(|_| holder(&sender));
        other(&sender);
        other(&sender);
        (0..2).for_each(|_| holder(&sender));
        assert_eq!(order(&mut receiver), "hhhhhhhohoh".replace("ohoh", "ohho"));
    }

    #[test]
    fn each_of_both_has_places_of_its_own() {
        let (sender, mut receiver) = queue(1);
        other(&sender);
        holder(&sender);
        assert!(sender.try_send(Message::Close).is_err());
        assert_eq!(order(&mut receiver), "ho");
    }

    #[test]
    fn what_was_sent_before_the_end_is_received() {
        let (sender, mut receiver) = queue(10);
        holder(&sender);
        other(&sender);
        drop(sender);
        assert_eq!(receiver.wait(None), Waited::Ready);
        assert_eq!(order(&mut receiver), "ho");
        assert_eq!(receiver.wait(None), Waited::Ended);
        assert!(receiver.has_ended());
    }
}
