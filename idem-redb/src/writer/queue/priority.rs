//! The writer's priority queue: holders' calls go before new locks.
//!
//! A holder whose renewal waits behind many new locks would lose its lease, and the takeover would add another lock
//! to the queue. So holders have a lane of their own, which the writer takes first. Two rules bound that: while locks
//! wait, one of every four calls is a lock; and no lock overtakes a holder's call that was sent before it, since a
//! caller that resends its `lock` must find its own release done.

use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use idem_core::backend::Call;
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};
use tokio::sync::mpsc::{Sender, channel};

use crate::writer::queue::lane::{Lane, block_on};
use crate::writer::queue::message::{Message, QueuedCall};
use crate::writer::queue::queued_sweep::QueuedSweep;

/// How many holders' calls are taken in a row before a lock.
const HOLDERS_IN_A_ROW: u32 = 3;

/// A message, and how many were sent before it; negative for a message that was given back.
type Numbered = (i64, Message);

/// A queue with two lanes of `places` each, for holders' calls and for others, and one lane for each kind of sweep.
pub(crate) fn queue(places: usize) -> (QueueSender, QueueReceiver) {
    let (holders, from_holders) = channel(places);
    let (others, from_others) = channel(places);
    let (sweeps, from_sweeps) = channel(1);
    let (awaited_sweeps, from_awaited_sweeps) = channel(1);
    let sender = QueueSender { holders, others, sweeps, awaited_sweeps, sent: AtomicI64::new(0) };
    let receiver = QueueReceiver {
        holders: Lane::new(from_holders),
        others: Lane::new(from_others),
        sweeps: Lane::new(from_sweeps),
        awaited_sweeps: Lane::new(from_awaited_sweeps),
        holders_in_a_row: 0,
        given_back: 0,
    };
    (sender, receiver)
}

/// The callers' end.
#[derive(Debug)]
pub(crate) struct QueueSender {
    holders: Sender<Numbered>,
    others: Sender<Numbered>,
    /// The background sweeper's. A clone of it does not keep the writer from ending.
    pub(crate) sweeps: Sender<QueuedSweep>,
    /// Sweeps that a caller waits for.
    pub(crate) awaited_sweeps: Sender<QueuedSweep>,
    sent: AtomicI64,
}

impl QueueSender {
    /// Waits for a place in the message's lane. An error: the writer is gone.
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
        if is_holders(message) { &self.holders } else { &self.others }
    }

    fn number(&self) -> i64 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }
}

/// The writer's end.
pub(crate) struct QueueReceiver {
    holders: Lane<Numbered>,
    others: Lane<Numbered>,
    pub(crate) sweeps: Lane<QueuedSweep>,
    pub(crate) awaited_sweeps: Lane<QueuedSweep>,
    holders_in_a_row: u32,
    given_back: i64,
}

fn is_holders(message: &Message) -> bool {
    match message {
        Message::Call(queued) => !matches!(queued.call, Call::Lock { .. } | Call::Remove { .. }),
        _ => true,
    }
}

impl QueueReceiver {
    /// The next message by priority.
    pub(crate) fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        // The others' lane is read first: then all holders' calls sent before that lock are seen too.
        let other = self.others.peek().map(|(number, _)| *number);
        let holder = self.holders.peek().map(|(number, _)| *number);
        let is_others_turn = match (holder, other) {
            (Some(holder), Some(other)) => self.holders_in_a_row >= HOLDERS_IN_A_ROW && other < holder,
            (None, _) => true,
            (Some(_), None) => false,
        };
        let next = if is_others_turn {
            self.holders_in_a_row = 0;
            self.others.take()
        } else {
            self.holders_in_a_row = self.holders_in_a_row.saturating_add(1);
            self.holders.take()
        };
        match next {
            Some((_, message)) => Ok(message),
            None if self.has_ended() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Takes back the calls that were received last, in their order: they come before all others of their lane.
    pub(crate) fn give_back(&mut self, calls: Vec<QueuedCall>) {
        for queued in calls.into_iter().rev() {
            let message = Message::Call(queued);
            self.given_back -= 1;
            let lane = if is_holders(&message) { &mut self.holders } else { &mut self.others };
            lane.give_back((self.given_back, message));
        }
    }

    /// Whether no further message will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.holders.has_ended() && self.others.has_ended()
    }

    /// Waits until a message or a sweep can be taken, for `timeout` at most where there is one.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Waited {
        block_on(timeout, |context| self.poll(context)).unwrap_or(Waited::TimedOut)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Waited> {
        // All lanes are polled, so that each of them wakes the thread.
        let waits = [
            self.holders.poll(context),
            self.others.poll(context),
            self.sweeps.poll(context),
            self.awaited_sweeps.poll(context),
        ];
        if waits.contains(&true) {
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

    /// Accepts no more messages; those in it can still be received.
    pub(crate) fn close(&mut self) {
        self.holders.close();
        self.others.close();
        self.sweeps.close();
        self.awaited_sweeps.close();
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// A message or a sweep can be taken.
    Ready,
    /// No further message will come.
    Ended,
    /// Nothing came in time.
    TimedOut,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use idem_core::{Key, Scope};
    use tokio::sync::oneshot;

    use super::*;

    /// `Reopen` stands for a holder's call: it uses the same lane.
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
        assert_eq!(order(&mut receiver), "hhhhhhhohho");
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
