//! One call: sends its request to the server that has the key, and retries where that is safe and useful, within one time
//! limit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use idem_core::backend::Sent;
use idem_core::error::Operation;
use idem_core::record::Record;
use idem_core::{Error, ErrorKind, Key, Result};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::address::Address;
use crate::protocol::calls;
use crate::protocol::command::Request;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;
use crate::topology::node::server_time::ServerTime;
use crate::topology::servers::Topology;

/// How many redirections are followed without a pause. After them the cluster is given time to converge.
const MAX_IMMEDIATE_REDIRECTIONS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// One call: where it is sent and how long it may take.
pub(crate) struct CallContext<'a> {
    pub(crate) topology: &'a Arc<Topology>,
    pub(crate) time: &'a ServerTime,
    pub(crate) slot: u16,
    pub(crate) deadline: Instant,
}

/// An answer, and how it came about.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// The time just before the answered attempt was sent.
    pub(crate) sent: Sent,
    /// Whether an earlier attempt of the same request may have been carried out.
    pub(crate) unsure: bool,
}

impl<'a> CallContext<'a> {
    /// A call about `redis_key` that starts now.
    pub(crate) fn new(
        topology: &'a Arc<Topology>,
        time: &'a ServerTime,
        redis_key: &[u8],
        call_timeout: Duration,
    ) -> Self {
        let slot = topology.slot_of(redis_key);
        Self { topology, time, slot, deadline: Instant::now() + call_timeout }
    }

    /// Reads the record of `key`.
    pub(crate) async fn read(&self, key: &Key, redis_key: &Bytes) -> Result<Option<Record>> {
        let answered = self
            .run(&calls::get(redis_key), |_| false)
            .await
            .map_err(|error| error.into_error(Operation::Get))?;
        calls::read_get(key, &answered.reply)
    }

    /// Sends `request` until it is answered. Where `wrote` says that an answer reports a write, the replicas that the slot
    /// requires must hold the write first. When the connection fails meanwhile, whether they do is unknown, and the request
    /// is sent again.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when the effect of the request is still unknown at the deadline.
    pub(crate) async fn run(
        &self,
        request: &Request,
        wrote: impl Fn(&Reply) -> bool,
    ) -> std::result::Result<Answered, CallError> {
        let mut progress = CallProgress::default();
        loop {
            let sent = Sent::now(self.time.clock());
            let error = match self.attempt(request, &progress, &wrote).await {
                Ok(reply) => return Ok(Answered { reply, sent, unsure: progress.unsure }),
                Err(error) => error,
            };
            match error {
                // A server outside a cluster has no reason to redirect. Following could hand the password to a stranger.
                AttemptError::Moved { .. } | AttemptError::Ask { .. } if !self.topology.is_cluster() => {
                    let message = "the server is none of a cluster, and yet says that another has the key";
                    let error = AttemptError::refused(ErrorKind::Unavailable, message);
                    return Err(CallError { error, unsure: progress.unsure });
                }
                // The script was sent whole already: perhaps a proxy answers, which never has it.
                AttemptError::NoScript if progress.whole_script => progress.failed(error),
                AttemptError::NoScript => {
                    progress.whole_script = true;
                    progress.pause = None;
                }
                AttemptError::Moved { to } => {
                    self.topology.moved(self.slot, to.as_ref());
                    progress.redirected(None);
                }
                AttemptError::Ask { to } => progress.redirected(Some(to)),
                AttemptError::OutOfTime => return Err(end(progress.last_error, true)),
                AttemptError::Later(_) | AttemptError::Unknown(_) => {
                    progress.unsure |= matches!(error, AttemptError::Unknown(_));
                    self.topology.request_refresh();
                    progress.failed(error);
                }
                AttemptError::Full(_)
                | AttemptError::NoWrites(_)
                | AttemptError::Refused(..)
                | AttemptError::Unclear(..) => {
                    return Err(CallError { error, unsure: progress.unsure });
                }
            }
            if let Some(pause) = progress.pause {
                if Instant::now() + pause >= self.deadline {
                    return Err(end(progress.last_error, progress.unsure));
                }
                sleep(pause).await;
            }
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        progress: &CallProgress,
        wrote: &impl Fn(&Reply) -> bool,
    ) -> std::result::Result<Reply, AttemptError> {
        let node = match &progress.ask {
            Some(address) => self.topology.at(address),
            None => self.topology.node(self.slot)?,
        };
        self.topology.ensure_watched();
        let number = node.next_connection();
        let link = if let Some(link) = node.open_link(number) {
            link
        } else {
            // Cold path: boxed to keep the future of every call small.
            let late = |_| {
                AttemptError::Later(Cause::new(format!("{} is not connected to in time", node.address())))
            };
            let link = Box::pin(timeout_at(self.deadline, node.link(number))).await.map_err(late)?;
            // The address may belong to another server by now, and the slot may have moved.
            link.inspect_err(|error| {
                if matches!(error, AttemptError::Refused(..)) {
                    self.topology.request_refresh();
                }
            })?
        };
        let command = request.command(progress.whole_script);
        let reply = link.send(&command, progress.ask.is_some(), self.deadline).await?;
        if wrote(&reply) {
            let by = self.topology.acknowledgers(self.slot, &node, progress.ask.is_some());
            link.acknowledged(&request.key, progress.ask.is_some(), by, self.deadline).await?;
        }
        Ok(reply)
    }
}

/// The state of a call between its attempts.
#[derive(Default)]
struct CallProgress {
    /// The server to send the next attempt to, preceded by `ASKING`.
    ask: Option<Address>,
    /// Whether to send the script whole, since the server does not know its digest.
    whole_script: bool,
    redirections: u32,
    /// Whether an earlier attempt may have been carried out.
    unsure: bool,
    pause: Option<Duration>,
    last_error: Option<AttemptError>,
}

impl CallProgress {
    fn redirected(&mut self, ask: Option<Address>) {
        self.redirections += 1;
        self.ask = ask;
        self.pause = (self.redirections > MAX_IMMEDIATE_REDIRECTIONS).then_some(FIRST_PAUSE);
    }

    fn failed(&mut self, error: AttemptError) {
        self.ask = None;
        self.pause = Some(self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(MAX_PAUSE)));
        self.last_error = Some(error);
    }
}

fn end(last: Option<AttemptError>, unsure: bool) -> CallError {
    CallError { error: last.unwrap_or_else(|| AttemptError::Later(Cause::new("no answer in time"))), unsure }
}

/// Why a call failed.
pub(crate) struct CallError {
    pub(crate) error: AttemptError,
    /// Whether an earlier attempt may have been carried out.
    pub(crate) unsure: bool,
}

impl CallError {
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        self.error.into_error(operation, self.unsure)
    }

    /// Whether the server refuses writes at the moment. Reads still work.
    pub(crate) fn is_write_refused(&self) -> bool {
        matches!(self.error, AttemptError::Full(_) | AttemptError::NoWrites(_))
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        matches!(self.error, AttemptError::Refused(ErrorKind::Corrupt, _))
    }
}
