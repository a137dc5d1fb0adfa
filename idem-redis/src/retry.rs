//! A call on its way: to the server that has the key, again where that is safe and useful, within one time limit.

use std::sync::Arc;
use std::time::Duration;

use idem_core::backend::Sent;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Address;
use crate::protocol::command::Request;
use crate::protocol::fault::{Cause, Fault};
use crate::protocol::reply::Reply;
use crate::topology::Topology;
use crate::topology::time::ServerTime;

/// Redirections that are followed at once; beyond them a cluster is given time to agree with itself.
const AT_ONCE: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// One call: where it goes and how long it may take.
pub(crate) struct Errand<'a> {
    pub(crate) topology: &'a Arc<Topology>,
    pub(crate) time: &'a ServerTime,
    pub(crate) slot: u16,
    pub(crate) deadline: Instant,
}

/// An answer and what is known of how it came about.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// Before the try was sent that was answered.
    pub(crate) sent: Sent,
    /// Whether an earlier try of the same request may have been done.
    pub(crate) unsure: bool,
}

impl Errand<'_> {
    /// Sends `request` until it is answered. Where `wrote` says so of an answer, the replicas that the slot needs
    /// must hold it first; on a connection that fails meanwhile that cannot be known, and it is sent again.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when its effect is unknown at the end.
    pub(crate) async fn run(
        &self,
        request: &Request,
        wrote: impl Fn(&Reply) -> bool,
    ) -> Result<Answered, CallError> {
        let mut way = Way::default();
        loop {
            let sent = Sent::now(self.time.clock());
            let fault = match self.once(request, &way, &wrote).await {
                Ok(reply) => return Ok(Answered { reply, sent, unsure: way.unsure }),
                Err(fault) => fault,
            };
            match fault {
                // One that is no part of a cluster sends nobody anywhere, least of all with a password.
                Fault::Moved { .. } | Fault::Ask { .. } if !self.topology.is_cluster() => {
                    let message = "the server is none of a cluster, and yet says that another has the key";
                    let fault = Fault::refused(ErrorKind::Unavailable, message);
                    return Err(CallError { fault, unsure: way.unsure });
                }
                // A proxy, perhaps, that never has it.
                Fault::NoScript if way.whole_script => way.fail(fault),
                Fault::NoScript => {
                    way.whole_script = true;
                    way.pause = None;
                }
                Fault::Moved { to } => {
                    self.topology.moved(self.slot, to.as_ref());
                    way.turn(None);
                }
                Fault::Ask { to } => way.turn(Some(to)),
                Fault::OutOfTime => return Err(end(way.last, true)),
                Fault::Later(_) | Fault::Unknown(_) => {
                    way.unsure |= matches!(fault, Fault::Unknown(_));
                    self.topology.trouble();
                    way.fail(fault);
                }
                Fault::Full(_) | Fault::NoWrites(_) | Fault::Refused(..) | Fault::Unclear(..) => {
                    return Err(CallError { fault, unsure: way.unsure });
                }
            }
            if let Some(pause) = way.pause {
                if Instant::now() + pause >= self.deadline {
                    return Err(end(way.last, way.unsure));
                }
                sleep(pause).await;
            }
        }
    }

    async fn once(
        &self,
        request: &Request,
        way: &Way,
        wrote: &impl Fn(&Reply) -> bool,
    ) -> Result<Reply, Fault> {
        let node = match &way.ask {
            Some(address) => self.topology.at(address),
            None => self.topology.node(self.slot)?,
        };
        self.topology.watched();
        let turn = node.turn();
        let link = if let Some(link) = node.open_link(turn) {
            link
        } else {
            // Seldom: its future need not lie in that of every call.
            let late =
                |_| Fault::Later(Cause::new(format!("{} is not connected to in time", node.address())));
            let link = Box::pin(timeout_at(self.deadline, node.link(turn))).await.map_err(late)?;
            // Its address may be another server's by now, and the slot elsewhere.
            link.inspect_err(|fault| {
                if matches!(fault, Fault::Refused(..)) {
                    self.topology.trouble();
                }
            })?
        };
        let command = request.command(way.whole_script);
        let reply = link.send(&command, way.ask.is_some(), self.deadline).await?;
        if wrote(&reply) {
            let by = self.topology.acknowledgers(self.slot, &node, way.ask.is_some());
            link.acknowledged(&request.key, way.ask.is_some(), by, self.deadline).await?;
        }
        Ok(reply)
    }
}

/// How a call has gone so far.
#[derive(Default)]
struct Way {
    ask: Option<Address>,
    /// The server does not know the script by its digest.
    whole_script: bool,
    turns: u32,
    unsure: bool,
    pause: Option<Duration>,
    last: Option<Fault>,
}

impl Way {
    fn turn(&mut self, ask: Option<Address>) {
        self.turns += 1;
        self.ask = ask;
        self.pause = (self.turns > AT_ONCE).then_some(FIRST_PAUSE);
    }

    fn fail(&mut self, fault: Fault) {
        self.ask = None;
        self.pause = Some(self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
        self.last = Some(fault);
    }
}

fn end(last: Option<Fault>, unsure: bool) -> CallError {
    CallError { fault: last.unwrap_or_else(|| Fault::Later(Cause::new("no answer in time"))), unsure }
}

/// A call that came to no answer.
pub(crate) struct CallError {
    pub(crate) fault: Fault,
    /// Whether an earlier try may have been done.
    pub(crate) unsure: bool,
}

impl CallError {
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        self.fault.into_error(operation, self.unsure)
    }

    /// Whether the server writes nothing new at the moment. What is on record it still shows.
    pub(crate) fn is_of_writing(&self) -> bool {
        matches!(self.fault, Fault::Full(_) | Fault::NoWrites(_))
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        matches!(self.fault, Fault::Refused(ErrorKind::Corrupt, _))
    }
}
