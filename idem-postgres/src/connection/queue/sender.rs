//! The task that sends what waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use idem_core::Result;
use idem_core::error::Operation;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::aside::Aside;
use super::entry::{Entry, choose};
use super::{LastFailure, Link, WAITING};
use crate::batch::{Batch, StorageKey};
use crate::error::{Failure, Then};

/// Sends calls by one connection.
#[derive(Debug)]
pub(super) struct Sender<B: Batch> {
    pub(super) link: Arc<Link>,
    pub(super) statement: String,
    /// Calls of one statement.
    pub(super) max_calls: usize,
    /// Where calls go that would hold up others; none where they have gone already.
    pub(super) aside: Option<Aside<B>>,
    pub(super) response_timeout: Duration,
    pub(super) last_failure: LastFailure,
}

impl<B: Batch> Sender<B> {
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Entry<B>>) {
        let mut received = Vec::new();
        // Calls to be sent again, or behind another call on the same key.
        let mut later: Vec<Entry<B>> = Vec::new();
        while self.receive(&mut waiting, &mut received, &later).await {
            let (batch, rest) =
                choose(later.drain(..).chain(received.drain(..)), self.max_calls, Instant::now());
            later = rest;
            let batch = self.set_aside(batch, Aside::has);
            if !batch.is_empty() {
                later.extend(self.send(batch).await);
            }
        }
    }

    /// Waits until there is something to send: a new call, or one that is to be sent again. False when there will be
    /// nothing any more.
    async fn receive(
        &self,
        waiting: &mut mpsc::Receiver<Entry<B>>,
        received: &mut Vec<Entry<B>>,
        later: &[Entry<B>],
    ) -> bool {
        let room = WAITING.saturating_sub(later.len()).min(self.max_calls);
        let Some(due) = later.iter().map(|entry| entry.not_before).min() else {
            return waiting.recv_many(received, room).await > 0;
        };
        if due <= Instant::now() || room == 0 {
            while received.len() < room
                && let Ok(entry) = waiting.try_recv()
            {
                received.push(entry);
            }
            if received.is_empty() {
                sleep_until(due).await;
            }
            return true;
        }
        tokio::select! {
            // None: the queue is gone, and with it whoever waited for those that are left.
            number = waiting.recv_many(received, room) => number > 0,
            () = sleep_until(due) => true,
        }
    }

    /// Sends them, and gives back those that must be sent again.
    async fn send(&self, batch: Vec<Entry<B>>) -> Vec<Entry<B>> {
        let calls: Vec<&B> = batch.iter().map(|entry| &entry.call).collect();
        let answers = self.query(&calls).await;
        drop(calls);
        match answers {
            Ok(answers) => self.answer(batch, answers),
            Err(Failure { then: Then::Refuse(_), .. }) if batch.len() > 1 => {
                // Which of them is refused shows when each goes alone.
                self.set_aside(batch, |_, _| true).into_iter().map(Entry::again).collect()
            }
            Err(failure @ Failure { then: Then::Refuse(_), .. }) => {
                for entry in batch {
                    // Nobody is there any more when the caller gave up.
                    let _ = entry.answer.send(Err(failure.error(Operation::Lock)));
                }
                Vec::new()
            }
            Err(failure) => {
                self.last_failure.note(&failure.message);
                let held_up = failure.then == Then::SetAside;
                self.set_aside(batch, |_, _| held_up).into_iter().map(Entry::again).collect()
            }
        }
    }

    /// Gives their answers to those that have one.
    fn answer(
        &self,
        batch: Vec<Entry<B>>,
        mut answers: HashMap<StorageKey, Result<B::Answer>>,
    ) -> Vec<Entry<B>> {
        let mut undecided = Vec::new();
        for entry in batch {
            match answers.remove(entry.call.key().storage_key()) {
                Some(answer) => drop(entry.answer.send(answer)),
                None => undecided.push(entry.again()),
            }
        }
        if !undecided.is_empty() {
            self.last_failure.note("another transaction has the record in hand");
        }
        undecided
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

    async fn query(&self, calls: &[&B]) -> Result<HashMap<StorageKey, Result<B::Answer>>, Failure> {
        let connection = self.link.connection().await?;
        let answers = timeout(self.response_timeout, B::send(&connection, &self.statement, calls)).await;
        let answers = match answers {
            Ok(_) if connection.is_unconfirmed() => {
                Err(Failure::reconnect("a commit was not waited for until its standbys had it"))
            }
            Ok(answers) => answers,
            Err(_) => Err(Failure::reconnect(format!(
                "the server did not answer within {:?}",
                self.response_timeout
            ))),
        };
        if let Err(Failure { then: Then::Reconnect, .. }) = answers {
            self.link.discard(&connection).await;
        }
        answers
    }
}
