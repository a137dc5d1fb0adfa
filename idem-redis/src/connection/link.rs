//! The connections to one server: that of calls, and where a write must be held by replicas one that waits for them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Connection;
use super::dial::Dial;
use super::replicas::Replicas;
use crate::Address;
use crate::protocol::command::{Command, Part};
use crate::protocol::fault::{Cause, Fault};
use crate::protocol::reply::Reply;

pub(crate) struct Link {
    calls: Connection,
    dial: Arc<Dial>,
    identity: OnceLock<Identity>,
    waiting: watch::Sender<Waiting>,
}

/// Which server it is, and since when it is master.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// Another whenever it is started.
    pub(crate) run_id: String,
    /// Another whenever it becomes master.
    pub(crate) replication_id: String,
}

/// The connection that waits for replicas: made when it is first needed, to the very same server.
enum Waiting {
    Idle,
    Making,
    Made(Arc<Replicas>),
}

impl Waiting {
    fn made(&self) -> Option<&Arc<Replicas>> {
        if let Self::Made(replicas) = self { Some(replicas) } else { None }
    }
}

/// Says what came of it, also when the runtime ends meanwhile.
struct Making {
    link: Arc<Link>,
    made: Option<Replicas>,
}

impl Making {
    async fn run(mut self) {
        match self.link.make_replicas().await {
            Ok(replicas) => self.made = Some(replicas),
            Err(fault) => {
                tracing::warn!(server = %self.link.address(), ?fault, "replicas cannot be waited for");
            }
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let made = self.made.take().map_or(Waiting::Idle, |replicas| Waiting::Made(Arc::new(replicas)));
        self.link.waiting.send_replace(made);
    }
}

impl Link {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Arc<Dial>, address: &Address) -> Result<Arc<Self>, Fault> {
        let calls = Connection::open(dial, address).await?;
        Ok(Arc::new(Self {
            calls,
            dial: Arc::clone(dial),
            identity: OnceLock::new(),
            waiting: watch::Sender::new(Waiting::Idle),
        }))
    }

    pub(crate) fn address(&self) -> &Address {
        self.calls.address()
    }

    /// Both or none: what was written on the one is waited for on the other.
    pub(crate) fn is_open(&self) -> bool {
        self.calls.is_open() && self.waiting.borrow().made().is_none_or(|replicas| replicas.is_open())
    }

    /// Gives the connections up, with all that is in flight on them.
    pub(crate) fn close(&self) {
        self.calls.close();
        if let Some(replicas) = self.waiting.borrow().made() {
            replicas.close();
        }
    }

    /// Asks one question, once.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
    pub(crate) async fn ask(&self, parts: impl Into<Vec<Part>>) -> Result<Reply, Fault> {
        self.calls.send(&Command::new(parts), None, None).await
    }

    /// Sends one command, once, as [`Connection::send`] does; `asking`: to a server that is only getting the key's slot.
    pub(crate) async fn send(&self, command: &Command, asking: bool, until: Instant) -> Result<Reply, Fault> {
        let before = asking.then(|| Command::new(["ASKING".into()]));
        self.calls.send(command, before.as_ref(), Some(until)).await
    }

    /// Tells which server this is.
    pub(crate) fn identify(&self, identity: Identity) {
        // Once, when it was connected to.
        let _ = self.identity.set(identity);
    }

    /// Waits until `replicas` hold all that was answered on this link before, of which the last was about `key`.
    /// `asking` as for [`send`](Link::send).
    pub(crate) async fn acknowledged(
        self: &Arc<Self>,
        key: &Bytes,
        asking: bool,
        replicas: u8,
        until: Instant,
    ) -> Result<(), Fault> {
        if replicas == 0 {
            return Ok(());
        }
        let wait = async { self.replicas().await?.wait(key.clone(), asking, replicas).await };
        timeout_at(until, wait).await.unwrap_or(Err(Fault::OutOfTime))?;
        if self.is_open() {
            return Ok(());
        }
        // Demoted meanwhile, perhaps: what its replicas held then counts for nothing.
        Err(Fault::Unknown(Cause::new(format!("the connection to {} was given up", self.address()))))
    }

    async fn replicas(self: &Arc<Self>) -> Result<Arc<Replicas>, Fault> {
        if let Some(replicas) = self.waiting.borrow().made() {
            return Ok(Arc::clone(replicas));
        }
        let mut changes = self.waiting.subscribe();
        let begins = |waiting: &mut Waiting| {
            let is_idle = matches!(waiting, Waiting::Idle);
            if is_idle {
                *waiting = Waiting::Making;
            }
            is_idle
        };
        if self.waiting.send_if_modified(begins) {
            // In a task: the caller may go, and others wait for the same.
            tokio::spawn(Making { link: Arc::clone(self), made: None }.run());
        }
        let made = changes.wait_for(|waiting| !matches!(waiting, Waiting::Making)).await;
        made.ok().and_then(|waiting| waiting.made().cloned()).ok_or_else(|| {
            let message = format!("the replicas of {} cannot be waited for", self.address());
            Fault::Unknown(Cause::new(message))
        })
    }

    async fn make_replicas(&self) -> Result<Replicas, Fault> {
        let connection = Connection::open(&self.dial, self.address()).await?;
        let identity = self.identity.get().cloned().unwrap_or_default();
        // At one address there may be many servers, or another than before.
        if run_id(&connection).await? != identity.run_id {
            let message = format!("{} is another server than the one that was written to", self.address());
            return Err(Fault::Unknown(Cause::new(message)));
        }
        Ok(Replicas::start(connection, self.dial.ack_timeout, identity.replication_id))
    }

    /// Asks for notifications of `channel`, a key.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        self.calls.subscribe(&Command::new(["SSUBSCRIBE".into(), channel.to_owned().into()])).await
    }

    pub(crate) async fn unsubscribe(&self, channel: &str) -> Result<(), Fault> {
        self.calls.subscribe(&Command::new(["SUNSUBSCRIBE".into(), channel.to_owned().into()])).await
    }
}

/// By which a server that was started again is told from what it was before.
async fn run_id(connection: &Connection) -> Result<String, Fault> {
    let info = connection.send(&Command::new(["INFO".into(), "server".into()]), None, None).await?;
    let run_id = info.field("run_id").map(str::to_owned);
    run_id.ok_or_else(|| Fault::Unknown(Cause::new("the server does not tell its run_id")))
}

/// Those who wait for something may still hold it for a moment.
impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}
