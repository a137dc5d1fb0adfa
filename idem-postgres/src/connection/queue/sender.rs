//! The task that sends what waits.

use std::future::pending;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};

use super::aside::Aside;
use super::backlog::Backlog;
use super::batch_size::BatchSize;
use super::entry::Entry;
use super::{LastFailure, Link, MAX_CALLS, QUEUE_CAPACITY};
use crate::batch::{Answers, BatchedCall};
use crate::error::{Failure, Recovery};

/// Sends calls by one connection.
#[derive(Debug)]
pub(super) struct Sender<B: BatchedCall> {
    pub(super) link: Arc<Link>,
    pub(super) statement: String,
    /// For a call that goes alone, where there is one.
    pub(super) statement_of_one: Option<String>,
    /// Calls of one statement, each on a key of its own.
    pub(super) size: BatchSize,
    /// Statements that are sent before the first of them is answered.
    pub(super) max_in_flight: usize,
    /// Where calls go that would hold up others; none where they have gone already.
    pub(super) aside: Option<Aside<B>>,
    pub(super) response_timeout: Duration,
    pub(super) last_failure: LastFailure,
}

impl<B: BatchedCall> Sender<B> {
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Entry<B>>) {
        let mut received = Vec::new();
        let mut backlog = Backlog::default();
        let mut in_flight = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some((keys, again)) = in_flight.next() => backlog.returned(keys, again),
                is_open = self.receive(&mut waiting, &mut received, &backlog), if in_flight.len() < self.max_in_flight => {
                    if !is_open {
                        return;
                    }
                }
            }
            if in_flight.len() == self.max_in_flight {
                continue;
            }
            // Callers that were answered together call again together.
            yield_now().await;
            self.receive_more(&mut waiting, &mut received, &backlog);
            let batch = backlog.choose(received.drain(..), self.size.now());
            let batch = self.set_aside(batch, Aside::has);
            if !batch.is_empty() {
                let keys: Vec<_> =
                    batch.chunk_by(on_one_key).map(|entries| *entries[0].storage_key()).collect();
                backlog.sent(&keys);
                let this = &self;
                in_flight.push(async move { (keys, this.send(batch).await) });
            }
        }
    }

    /// Waits until there is something to send: a new call, or one that is to be sent again. False when there will be
    /// nothing any more. Cancel safe.
    async fn receive(
        &self,
        waiting: &mut mpsc::Receiver<Entry<B>>,
        received: &mut Vec<Entry<B>>,
        backlog: &Backlog<B>,
    ) -> bool {
        let due = backlog.due();
        if due.is_some_and(|due| due <= Instant::now()) {
            return true;
        }
        let room = self.room(received, backlog);
        let again = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            // None: the queue is gone, and with it whoever waited for those that are left.
            number = waiting.recv_many(received, room), if room > 0 => number > 0,
            () = again => true,
        }
    }

    /// Takes calls that are there already.
    fn receive_more(
        &self,
        waiting: &mut mpsc::Receiver<Entry<B>>,
        received: &mut Vec<Entry<B>>,
        backlog: &Backlog<B>,
    ) {
        for _ in 0..self.room(received, backlog) {
            let Ok(entry) = waiting.try_recv() else { return };
            received.push(entry);
        }
    }

    /// How many more calls to receive.
    fn room(&self, received: &[Entry<B>], backlog: &Backlog<B>) -> usize {
        let there = backlog.len() + received.len();
        // Calls on one key share a statement, so more are received than it has keys, unless many wait already to be sent
        // again.
        let most = self.size.now().max(MAX_CALLS.saturating_sub(backlog.len()));
        QUEUE_CAPACITY.saturating_sub(there).min(most.saturating_sub(received.len()))
    }

    /// Sends them, and gives back those that must be sent again.
    async fn send(&self, batch: Vec<Entry<B>>) -> Vec<Entry<B>> {
        let calls: Vec<&B> = batch.chunk_by(on_one_key).map(|entries| &entries[0].call).collect();
        let keys = calls.len();
        let answers = self.query(&calls).await;
        drop(calls);
        match answers {
            Ok(answers) => {
                self.size.answered();
                self.answer(batch, answers)
            }
            Err(Failure { recovery: Recovery::Refuse(_), .. }) if keys > 1 => {
                // Which of them is refused shows when each goes alone.
                self.set_aside(batch.into_iter().map(Entry::alone).collect(), |_, _| true)
            }
            Err(failure @ Failure { recovery: Recovery::Refuse(_), .. }) => {
                for entry in batch {
                    entry.refuse(&failure);
                }
                Vec::new()
            }
            Err(failure) => {
                self.last_failure.note(&failure.message);
                if failure.recovery == Recovery::Reconnect {
                    self.size.unanswered(keys);
                }
                let batch = batch.into_iter().map(|entry| entry.after(&failure)).collect();
                self.set_aside(batch, |_, _| failure.recovery == Recovery::SetAside)
            }
        }
    }

    /// Gives their answers to those that have one, and gives back the others.
    fn answer(&self, batch: Vec<Entry<B>>, mut answers: Answers<B>) -> Vec<Entry<B>> {
        let mut unanswered = Vec::new();
        let mut batch = batch.into_iter().peekable();
        while let Some(first) = batch.next() {
            let key = *first.storage_key();
            let others = iter::from_fn(|| batch.next_if(|entry| *entry.storage_key() == key));
            let Some(answer) = answers.remove(&key) else {
                self.last_failure.note("another session has locked the record's row, or the table");
                unanswered.extend(iter::once(first).chain(others).map(Entry::once_free));
                continue;
            };
            for entry in others {
                match entry.call.follow(&first.call, &answer) {
                    // Nobody is there any more when the caller gave up.
                    Some(answer) => drop(entry.answer.send(answer)),
                    None => unanswered.push(entry),
                }
            }
            first.answer(answer);
        }
        unanswered
    }

    /// Sets those aside that `belongs` says, and gives back the others.
    fn set_aside(
        &self,
        batch: Vec<Entry<B>>,
        belongs: impl Fn(&Aside<B>, &Entry<B>) -> bool,
    ) -> Vec<Entry<B>> {
        let Some(aside) = &self.aside else { return batch };
        batch
            .into_iter()
            .filter_map(|entry| if belongs(aside, &entry) { aside.take(entry) } else { Some(entry) })
            .collect()
    }

    async fn query(&self, calls: &[&B]) -> Result<Answers<B>, Failure> {
        let connection = self.link.connection().await?;
        let sent = async {
            match (calls, &self.statement_of_one) {
                ([call], Some(statement)) => B::send_one(&connection, statement, call).await,
                _ => B::send(&connection, &self.statement, calls).await,
            }
        };
        let sent = connection.confirmed(B::WRITES, sent);
        let answers = match timeout(self.response_timeout, sent).await {
            Ok(answers) => answers,
            Err(_) => Err(Failure::unanswered(self.response_timeout)),
        };
        if let Err(Failure { recovery: Recovery::Reconnect, .. }) = answers {
            self.link.discard(&connection).await;
        }
        answers
    }
}

fn on_one_key<B: BatchedCall>(one: &Entry<B>, other: &Entry<B>) -> bool {
    one.storage_key() == other.storage_key()
}
