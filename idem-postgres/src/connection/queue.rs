//! Calls that come together go together: one statement and one commit for all that wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::link::Link;
use crate::batch::{Batch, StorageKey};
use crate::error::{Failure, Then};

/// Calls of one statement.
const MOST_CALLS: usize = 128;
/// Bytes of one statement's outcomes and checkpoints, unless a single call has more.
const MOST_BYTES: usize = 4 << 20;
/// Calls that wait; those that come later wait for room.
const WAITING: usize = 4_096;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls of one kind on their way to the server. A lone call waits for nobody: it is sent at once.
#[derive(Debug)]
pub(crate) struct Queue<B: Batch> {
    entries: mpsc::Sender<Entry<B>>,
    last_failure: Arc<Mutex<Option<String>>>,
    call_timeout: Duration,
}

#[derive(Debug)]
struct Entry<B: Batch> {
    call: B,
    deadline: Instant,
    /// How often it was sent without an answer.
    sent: u32,
    not_before: Instant,
    answer: oneshot::Sender<Result<B::Answer>>,
}

impl<B: Batch> Queue<B> {
    /// Starts the task that sends, which ends with the queue.
    pub(crate) fn start(
        link: Arc<Link>,
        schema: &str,
        call_timeout: Duration,
        response_timeout: Duration,
    ) -> Self {
        let (entries, waiting) = mpsc::channel(WAITING);
        let last_failure = Arc::new(Mutex::new(None));
        let sender = Sender {
            link,
            statement: B::statement(schema),
            response_timeout,
            last_failure: Arc::clone(&last_failure),
        };
        tokio::spawn(sender.run(waiting));
        Self { entries, last_failure, call_timeout }
    }

    /// Sends `call`, together with those that wait, and gives its answer.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when there is none in time, with what was the matter last.
    pub(crate) async fn call(&self, call: B, operation: Operation) -> Result<B::Answer> {
        let deadline = Instant::now() + self.call_timeout;
        let (answer, answered) = oneshot::channel();
        let entry = Entry { call, deadline, sent: 0, not_before: Instant::now(), answer };
        let call = async {
            // Both fail only when the sending task has ended, with its runtime.
            self.entries.send(entry).await.ok()?;
            answered.await.ok()
        };
        match timeout_at(deadline, call).await {
            Ok(Some(answer)) => answer.map_err(|error| error.during(operation)),
            Ok(None) => Err(Error::new(
                ErrorKind::Closed,
                operation,
                "the runtime that the store was opened on has ended",
            )),
            Err(_) => {
                let last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let last = last.map_or_else(String::new, |failure| format!(", the last failure: {failure}"));
                Err(Error::new(
                    ErrorKind::Timeout,
                    operation,
                    format!("no answer within {:?}{last}", self.call_timeout),
                ))
            }
        }
    }
}

struct Sender {
    link: Arc<Link>,
    statement: String,
    response_timeout: Duration,
    last_failure: Arc<Mutex<Option<String>>>,
}

impl Sender {
    async fn run<B: Batch>(self, mut waiting: mpsc::Receiver<Entry<B>>) {
        let mut received = Vec::with_capacity(MOST_CALLS);
        // Calls to be sent again, or behind another call on the same key.
        let mut later: Vec<Entry<B>> = Vec::new();
        loop {
            let now = Instant::now();
            later.retain(|entry| entry.deadline > now && !entry.answer.is_closed());
            let due = later.iter().map(|entry| entry.not_before).min();
            if due.is_none_or(|due| due > now) {
                tokio::select! {
                    received = waiting.recv_many(&mut received, MOST_CALLS), if later.len() < WAITING => {
                        if received == 0 && later.is_empty() {
                            return;
                        }
                    }
                    () = sleep_until(due.unwrap_or(now + LONGEST_PAUSE)), if due.is_some() => continue,
                }
            } else if later.len() < WAITING {
                while received.len() < MOST_CALLS
                    && let Ok(entry) = waiting.try_recv()
                {
                    received.push(entry);
                }
            }
            let (batch, rest) = choose(later.drain(..).chain(received.drain(..)));
            later = rest;
            if !batch.is_empty() {
                later.extend(self.send(batch).await);
            }
        }
    }

    /// Sends them, and gives back those that must be sent again.
    async fn send<B: Batch>(&self, batch: Vec<Entry<B>>) -> Vec<Entry<B>> {
        let calls: Vec<&B> = batch.iter().map(|entry| &entry.call).collect();
        let answers = self.query(&calls).await;
        drop(calls);
        match answers {
            Ok(mut answers) => {
                let mut undecided = Vec::new();
                for entry in batch {
                    match answers.remove(entry.call.key().storage_key()) {
                        Some(answer) => {
                            // Nobody is there any more when the caller gave up.
                            let _ = entry.answer.send(answer);
                        }
                        None => undecided.push(entry.again()),
                    }
                }
                if !undecided.is_empty() {
                    self.note("another transaction has the record in hand");
                }
                undecided
            }
            Err(Failure { what: Then::Resend | Then::Reconnect, message }) => {
                self.note(&message);
                batch.into_iter().map(Entry::again).collect()
            }
            Err(failure) => {
                for entry in batch {
                    let _ = entry.answer.send(Err(failure.error(Operation::Open)));
                }
                Vec::new()
            }
        }
    }

    async fn query<B: Batch>(&self, calls: &[&B]) -> Result<HashMap<StorageKey, Result<B::Answer>>, Failure> {
        let client = self.link.client().await?;
        let answers = match timeout(self.response_timeout, B::send(&client, &self.statement, calls)).await {
            Ok(answers) => answers,
            Err(_) => Err(Failure::reconnect(format!(
                "the server did not answer within {:?}",
                self.response_timeout
            ))),
        };
        if let Err(Failure { what: Then::Reconnect, .. }) = answers {
            self.link.discard(&client).await;
        }
        answers
    }

    fn note(&self, failure: &str) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.to_owned());
    }
}

impl<B: Batch> Entry<B> {
    /// The same call, later: at once the first time, then after pauses that double.
    fn again(mut self) -> Self {
        let pause = SHORTEST_PAUSE * (1 << self.sent.min(7));
        let pause = if self.sent == 0 { Duration::ZERO } else { pause.min(LONGEST_PAUSE) };
        self.sent += 1;
        self.not_before = Instant::now() + pause;
        self
    }
}

/// Those that go now, each key once and in the order of keys, so that two batches never wait for each other; and those
/// that go later.
fn choose<B: Batch>(entries: impl Iterator<Item = Entry<B>>) -> (Vec<Entry<B>>, Vec<Entry<B>>) {
    let now = Instant::now();
    let mut batch: Vec<Entry<B>> = Vec::new();
    let mut later = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = entry.call.size();
        let fits = batch.is_empty() || (batch.len() < MOST_CALLS && bytes + size <= MOST_BYTES);
        // Two calls on one key go one after the other: those behind the first look for their place in the next batch.
        let at = batch
            .binary_search_by(|other| other.call.key().storage_key().cmp(entry.call.key().storage_key()));
        match at {
            Err(at) if fits && entry.not_before <= now => {
                bytes += size;
                batch.insert(at, entry);
            }
            _ => later.push(entry),
        }
    }
    (batch, later)
}
