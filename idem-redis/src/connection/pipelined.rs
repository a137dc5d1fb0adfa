//! One pipelined connection to one server. Callers append commands to one buffer, one task writes what has accumulated with
//! a single system call, and answers come back in order.
//!
//! A connection never reconnects and never resends. What is known of a write and of the replicas that hold it is valid only
//! for the connection that made the write, so a caller that retries takes a new connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::config::address::Address;
use crate::connection::queue::{Answer, Queue};
use crate::protocol::command::Command;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::errors::error_reply::of_reply;
use crate::protocol::reply::Reply;

pub(crate) struct Connection {
    queue: Arc<Queue>,
    /// The task that reads and writes. Aborted when the connection is dropped.
    task: AbortHandle,
    /// The runtime that runs the task.
    runtime: runtime::Id,
    address: Address,
    response_timeout: Duration,
}

impl Connection {
    /// A connection that `task` serves. The task must run in the caller's runtime.
    pub(super) fn new(
        queue: Arc<Queue>,
        task: AbortHandle,
        address: Address,
        response_timeout: Duration,
    ) -> Self {
        Self { queue, task, runtime: Handle::current().id(), address, response_timeout }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn is_open(&self) -> bool {
        self.queue.is_open()
    }

    /// Closes the connection. Commands in flight fail.
    pub(crate) fn close(&self) {
        self.queue.end(&Cause::new(format!("the connection to {} was given up", self.address)));
        self.task.abort();
    }

    /// Sends `command` once. `before` is sent ahead of it, and its answer is discarded. Waits for the answer no longer than
    /// `until`; the connection itself ends when the server takes longer than the response timeout. Without `until` the
    /// command counts as a query, whose effect does not matter.
    ///
    /// # Cancel safety
    /// After a dropped future the command may or may not have been sent and carried out.
    pub(crate) async fn send(
        &self,
        command: &Command,
        before: Option<&Command>,
        until: Option<Instant>,
    ) -> Result<Reply, AttemptError> {
        let answer = self.queue.push(command, before)?;
        let answered = self.answer(answer, until).await;
        if until.is_some() { answered } else { answered.map_err(AttemptError::of_query) }
    }

    /// Subscribes or unsubscribes by `command`, which the server answers with a push message on success.
    pub(crate) async fn subscribe(&self, command: &Command) -> Result<(), AttemptError> {
        // `HELLO` serves as the fence: every user may send it, and even a busy server answers it with a list.
        let answer = self.queue.push_subscription(command, &Command::new(["HELLO".into()]))?;
        self.answer(answer, None).await.map(drop)
    }

    /// Sends three commands once, with no other command between them. Returns the first error.
    pub(super) async fn send_three(
        &self,
        commands: [&Command; 3],
        before: Option<&Command>,
    ) -> Result<[Reply; 3], AttemptError> {
        let [first, second, third] = self.queue.push_three(commands, before)?;
        let first = self.answer(first, None).await?;
        let second = self.answer(second, None).await?;
        Ok([first, second, self.answer(third, None).await?])
    }

    /// Sends `command` once. An error reply is returned as a reply.
    pub(super) async fn ask(&self, command: &Command) -> Result<Reply, AttemptError> {
        let answer = self.queue.push(command, None)?;
        answer.await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> AttemptError {
        AttemptError::Unknown(Cause::new(format!("the connection to {} ended", self.address)))
    }

    async fn answer(&self, answer: Answer, until: Option<Instant>) -> Result<Reply, AttemptError> {
        let is_served = self.is_served_here();
        let answered = match until {
            until if !is_served => self.answer_from_elsewhere(answer, until).await?,
            Some(until) if until <= Instant::now() + self.response_timeout * 2 => {
                timeout_at(until, answer).await.map_err(|_| AttemptError::OutOfTime)?
            }
            // The answer or the end of the connection comes well before `until`. So most calls get by without a timer of
            // their own, which would cost as much as the rest of the call.
            _ => answer.await,
        };
        match answered {
            Ok(Ok(Reply::Error(text))) => Err(of_reply(&String::from_utf8_lossy(&text), &self.address)),
            Ok(answer) => answer,
            Err(_) => Err(self.ended()),
        }
    }
}

impl Connection {
    /// Whether the caller runs in the runtime that serves the connection. That runtime then runs for as long as the caller
    /// does.
    fn is_served_here(&self) -> bool {
        Handle::try_current().is_ok_and(|here| here.id() == self.runtime)
    }

    /// Waits for an answer on a connection that another runtime serves. When that runtime is not running, nothing in it
    /// closes the connection. So it is closed here once any caller's command has waited twice the response timeout.
    async fn answer_from_elsewhere(
        &self,
        mut answer: Answer,
        until: Option<Instant>,
    ) -> Result<<Answer as Future>::Output, AttemptError> {
        let longest = self.response_timeout * 2;
        loop {
            let left = longest.saturating_sub(self.queue.waited());
            if left.is_zero() {
                self.close();
                return Err(self.ended());
            }
            let next_check = Instant::now() + left;
            match timeout_at(until.map_or(next_check, |until| until.min(next_check)), &mut answer).await {
                Ok(answered) => return Ok(answered),
                Err(_) if until.is_some_and(|until| until < next_check) => {
                    return Err(AttemptError::OutOfTime);
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}
