//! One connection to one server, pipelined: callers write into one buffer, one task hands over what has gathered in one
//! system call, and answers come back in order.
//!
//! It is made once, and every command is sent on it once. Whoever needs another takes another one: what is known of a
//! write, and of the replicas that hold it, holds for the connection that made it.

pub(crate) mod dial;
pub(crate) mod link;
mod queue;
mod replicas;
mod serve;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

pub(crate) use queue::Outgoing;
use queue::{Answer, Queue};

use crate::Address;
use crate::protocol::command::Command;
use crate::protocol::fault::{Cause, Fault, of_reply};
use crate::protocol::reply::Reply;
use dial::Dial;

/// Who is told what nobody asked for.
pub(crate) trait Notified: Send + Sync {
    /// Something was said on `channel`, or nothing will be any more.
    fn notify(&self, channel: &str);

    /// A connection ended, and with it all its notifications.
    fn end(&self);
}

pub(crate) struct Connection {
    queue: Arc<Queue>,
    /// Reads and writes; ends with this.
    task: AbortHandle,
    address: Address,
    response_timeout: Duration,
}

impl Connection {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Dial, address: &Address) -> Result<Self, Fault> {
        let queue = Arc::new(Queue::new());
        let task = dial.connect(address, &queue).await?;
        let response_timeout = dial.response_timeout;
        let connection = Self { queue, task, address: address.clone(), response_timeout };
        dial.log_in(&connection).await?;
        Ok(connection)
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
    /// longer than `until`, and then leaves it behind: a server that takes too long ends the connection.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
    pub(crate) async fn send(
        &self,
        command: &Command,
        before: Option<&Command>,
        until: Option<Instant>,
    ) -> Result<Reply, Fault> {
        let answer = self.queue.push(command, before)?;
        self.answer(answer, until).await
    }

    /// Begins or ends notifications by `command`, which is answered by a push message where that is done.
    pub(crate) async fn subscribe(&self, command: &Command) -> Result<(), Fault> {
        // Answered by a list at all times and to everybody, however busy the server is.
        let answer = self.queue.push_subscription(command, &Command::new(["HELLO".into()]))?;
        self.answer(answer, None).await.map(drop)
    }

    /// Sends two commands, once, between which no other comes; waits for the answer to the second if the first did well.
    async fn send_both(&self, first: &Command, second: &Command) -> Result<Reply, Fault> {
        let (first, second) = self.queue.push_both(first, second)?;
        self.answer(first, None).await?;
        self.answer(second, None).await
    }

    /// Waits for what `until` or the connection's own end ends. The latter comes in time for most, and a timer of each
    /// caller's own costs as much as the rest of a call.
    async fn in_time<T>(&self, answer: impl Future<Output = T>, until: Instant) -> Option<T> {
        if until < Instant::now() + self.response_timeout * 2 {
            return timeout_at(until, answer).await.ok();
        }
        Some(answer.await)
    }

    async fn answer(&self, answer: Answer, until: Option<Instant>) -> Result<Reply, Fault> {
        let answered = match until {
            Some(until) => self.in_time(answer, until).await.ok_or(Fault::OutOfTime)?,
            None => answer.await,
        };
        match answered {
            Ok(Ok(Reply::Error(text))) => {
                Err(self.heeding(of_reply(&String::from_utf8_lossy(&text), &self.address)))
            }
            Ok(answer) => answer,
            Err(_) => Err(Fault::Unknown(Cause::new(format!("the connection to {} ended", self.address)))),
        }
    }

    /// Ends the connection where an answer says so: what a server acknowledges that is no master any more counts for
    /// nothing.
    fn heeding(&self, fault: Fault) -> Fault {
        if fault.is_demotion() {
            self.close();
        }
        fault
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}
