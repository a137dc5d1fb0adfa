//! Calls that come together go together: one statement and one commit for all that wait.

mod aside;
mod backlog;
mod batch_size;
mod choose;
mod crowd;
mod entry;
mod keys;
mod sender;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use idem_core::Result;
use idem_core::error::Operation;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use self::aside::Aside;
use self::batch_size::BatchSize;
use self::entry::Entry;
use self::sender::Sender;
use super::Link;
use crate::batch::BatchedCall;
use crate::error::{runtime_ended, unanswered};

/// Calls that wait; those that come later wait for room.
const QUEUE_CAPACITY: usize = 4_096;
/// Calls of one statement, each on a key of its own. One notification of the function `notify` has room for 120.
const MAX_CALLS: usize = 120;
/// Calls of one statement whose rows may be locked, each of which may then take a millisecond.
const MAX_CALLS_APART: usize = 32;

/// Calls of one kind on their way to the server. A lone call waits for nobody: it is sent at once.
#[derive(Debug)]
pub(crate) struct Queue<B: BatchedCall> {
    entries: mpsc::Sender<Entry<B>>,
    last_failure: LastFailure,
    call_timeout: Duration,
}

/// The connections of a queue, and how long it waits.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    /// For calls that come together.
    pub(crate) link: Arc<Link>,
    /// For those that may have to wait for a transaction of somebody else.
    pub(crate) aside: Arc<Link>,
    pub(crate) call_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) max_outcome: u64,
}

/// What was the matter last, and when, for the error of those that give up.
#[derive(Debug, Clone, Default)]
struct LastFailure(Arc<Mutex<Option<(Instant, String)>>>);

impl<B: BatchedCall> Queue<B> {
    /// Starts the tasks that send, which end with the queue.
    pub(crate) fn start(lanes: Lanes, schema: &str) -> Self {
        let (entries, waiting) = mpsc::channel(QUEUE_CAPACITY);
        let (to_aside, waiting_aside) = mpsc::channel(QUEUE_CAPACITY);
        let last_failure = LastFailure::default();
        let size = |most| {
            if B::ANSWERS_OUTCOMES {
                BatchSize::of_outcomes(most, lanes.max_outcome)
            } else {
                BatchSize::new(most)
            }
        };
        let sender =
            |link: Arc<Link>, statement, statement_of_one, max_calls, aside: Option<Aside<B>>| Sender {
                max_in_flight: if aside.is_some() { link.max_in_flight() } else { 1 },
                link,
                statement,
                statement_of_one,
                size: size(max_calls),
                aside,
                response_timeout: lanes.response_timeout,
                last_failure: last_failure.clone(),
            };
        let aside = Some(Aside::new(to_aside));
        let of_one = B::statement_of_one(schema);
        tokio::spawn(sender(lanes.link, B::statement(schema), of_one, MAX_CALLS, aside).run(waiting));
        let (apart, max_calls) = match B::statement_apart(schema) {
            Some(apart) => (apart, MAX_CALLS_APART),
            None => (B::statement(schema), 1),
        };
        tokio::spawn(sender(lanes.aside, apart, None, max_calls, None).run(waiting_aside));
        Self { entries, last_failure, call_timeout: lanes.call_timeout }
    }

    /// Sends `call`, together with those that wait, and gives its answer.
    ///
    /// # Errors
    /// [`Timeout`](idem_core::ErrorKind::Timeout) when there is none in time, with what was the matter last.
    pub(crate) async fn call(&self, call: B, operation: Operation) -> Result<B::Answer> {
        let begun = Instant::now();
        let deadline = begun + self.call_timeout;
        let (answer, answered) = oneshot::channel();
        let entry = Entry::new(call, deadline, answer);
        let call = async {
            // Both fail only when the sending task has ended, with its runtime.
            self.entries.send(entry).await.ok()?;
            answered.await.ok()
        };
        match timeout_at(deadline, call).await {
            Ok(Some(answer)) => answer.map_err(|error| error.during(operation)),
            // The task gives up a call when its time is over, perhaps a moment before this.
            Ok(None) if Instant::now() < deadline && self.entries.is_closed() => {
                Err(runtime_ended(operation))
            }
            Ok(None) | Err(_) => {
                Err(unanswered(operation, self.call_timeout, &self.last_failure.since(begun)))
            }
        }
    }
}

impl LastFailure {
    fn note(&self, failure: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), failure.to_owned()));
    }

    /// Nothing of what was the matter before that.
    fn since(&self, begun: Instant) -> String {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, failure)) if *at >= begun => format!("; the last failure of such a call: {failure}"),
            _ => String::new(),
        }
    }
}
