//! One connection to one server, pipelined: callers write into one buffer, one task hands over what has gathered in one
//! system call, and answers come back in order.
//!
//! It is made once, and every command is sent on it once. Whoever needs another takes another one: what is known of a
//! write, and of the replicas that hold it, holds for the connection that made it.

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
    /// Reads and writes; ends with this.
    task: AbortHandle,
    /// That of the task.
    runtime: runtime::Id,
    address: Address,
    response_timeout: Duration,
}

impl Connection {
    /// A connection that `task` serves, in the runtime of the caller.
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

    /// Gives it up, with all that is in flight on it.
    pub(crate) fn close(&self) {
        self.queue.end(&Cause::new(format!("the connection to {} was given up", self.address)));
        self.task.abort();
    }

    /// Sends `command`, once; `before` it, if need be, another whose answer nobody looks at. Waits for the answer no
    /// longer than `until`, and then leaves it behind: a server that takes too long ends the connection. Without `until` it
    /// is a question, which changes nothing.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
    pub(crate) async fn send(
        &self,
        command: &Command,
        before: Option<&Command>,
        until: Option<Instant>,
    ) -> Result<Reply, AttemptError> {
        let answer = self.queue.push(command, before)?;
        let answered = self.answer(answer, until).await;
        if until.is_some() { answered } else { answered.map_err(AttemptError::of_question) }
    }

    /// Begins or ends notifications by `command`, which is answered by a push message where that is done.
    pub(crate) async fn subscribe(&self, command: &Command) -> Result<(), AttemptError> {
        // Answered by a list at all times and to everybody, however busy the server is.
        let answer = self.queue.push_subscription(command, &Command::new(["HELLO".into()]))?;
        self.answer(answer, None).await.map(drop)
    }

    /// Sends three commands, once, between which no other comes. Each is waited for if those before it did well.
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

    /// Sends `command`, once; an error is an answer, too.
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
            // The answer or the end of the connection comes well before, and most calls need no timer of their own, which
            // would cost as much as the rest of them.
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
    /// Whether the runtime that serves the connection is that of the caller, and goes on when the caller does.
    fn is_served_here(&self) -> bool {
        Handle::try_current().is_ok_and(|here| here.id() == self.runtime)
    }

    /// Another runtime serves the connection. When it rests, nobody else gives the connection up: after twice the time that
    /// any command may wait, whoever sent it, and however soon each of them gave up.
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
            let look = Instant::now() + left;
            match timeout_at(until.map_or(look, |until| until.min(look)), &mut answer).await {
                Ok(answered) => return Ok(answered),
                Err(_) if until.is_some_and(|until| until < look) => return Err(AttemptError::OutOfTime),
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
