//! The connections to one server: that of calls, and where a write must be held by replicas one that waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::Connection;
use super::dial::Dial;
use super::replicas::{Acknowledgers, Replicas};
use super::single_flight::SingleFlight;
use crate::Address;
use crate::protocol::command::{Command, Part};
use crate::protocol::fault::{Cause, Fault};
use crate::protocol::reply::Reply;

pub(crate) struct Link {
    calls: Connection,
    dial: Arc<Dial>,
    identity: OnceLock<Identity>,
    /// As of which time that the server became master it was seen to have its data; 0: never.
    data_seen: AtomicU64,
    /// That which waits for replicas: made when it is first needed, to the very same server.
    waiting: SingleFlight<Arc<Replicas>>,
}

/// Which server it is, and since when it is master.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// Another whenever it is started.
    pub(crate) run_id: String,
    /// Another whenever it becomes master.
    pub(crate) replication_id: String,
}

impl Link {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Arc<Dial>, address: &Address) -> Result<Arc<Self>, Fault> {
        let calls = Connection::open(dial, address).await?;
        Ok(Arc::new(Self {
            calls,
            dial: Arc::clone(dial),
            identity: OnceLock::new(),
            data_seen: AtomicU64::new(0),
            waiting: SingleFlight::new(dial.longest()),
        }))
    }

    pub(crate) fn address(&self) -> &Address {
        self.calls.address()
    }

    /// Both or none: what was written on the one is waited for on the other.
    pub(crate) fn is_open(&self) -> bool {
        self.calls.is_open() && self.waiting.is_none_or(|replicas| replicas.is_open())
    }

    /// Gives the connections up, with all that is in flight on them.
    pub(crate) fn close(&self) {
        self.calls.close();
        if let Some(replicas) = self.waiting.get() {
            replicas.close();
        }
    }

    /// Asks one question, once.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
    pub(crate) async fn ask(&self, parts: impl Into<Vec<Part>>) -> Result<Reply, Fault> {
        self.run(&Command::new(parts)).await
    }

    /// The same, of a command that is ready.
    pub(crate) async fn run(&self, command: &Command) -> Result<Reply, Fault> {
        self.calls.send(command, None, None).await
    }

    /// Sends one command, once, as [`Connection::send`] does; `asking`: to a server that is only getting the key's slot.
    pub(crate) async fn send(&self, command: &Command, asking: bool, until: Instant) -> Result<Reply, Fault> {
        let before = asking.then(|| Command::new(["ASKING".into()]));
        self.calls.send(command, before.as_ref(), Some(until)).await
    }

    /// It was seen that the server, which is this one and master, has what it was given before: as of the time when it became
    /// master for the `mastership`th time. What loses them without ending its connections (`FLUSHALL`) is found by the next
    /// check.
    pub(crate) fn found_data(&self, identity: &Identity, mastership: u64) {
        // That of the first time: one that was a replica meanwhile may have thrown away what was written here.
        self.identity.get_or_init(|| identity.clone());
        self.data_seen.fetch_max(mastership, Ordering::AcqRel);
    }

    /// Whether that was seen as of then.
    pub(crate) fn has_data(&self, mastership: u64) -> bool {
        self.data_seen.load(Ordering::Acquire) >= mastership
    }

    /// Waits until all that was answered on this link before is acknowledged `by` these; the last of it was about `key`.
    /// `asking` as for [`send`](Link::send).
    pub(crate) async fn acknowledged(
        self: &Arc<Self>,
        key: &Bytes,
        asking: bool,
        by: Acknowledgers,
        until: Instant,
    ) -> Result<(), Fault> {
        if by.is_none() {
            return Ok(());
        }
        let began = Instant::now();
        let wait = async { self.replicas().await?.wait(key.clone(), asking, by).await };
        let waited = timeout_at(until, wait).await.unwrap_or_else(|_| {
            // Longer than any connection waits that is served: the runtime rests that does it.
            if began.elapsed() >= self.dial.response_timeout * 2 {
                self.close();
            }
            Err(Fault::OutOfTime)
        });
        waited?;
        if self.is_open() {
            return Ok(());
        }
        // Demoted meanwhile, perhaps: what its replicas held then counts for nothing.
        Err(Fault::Unknown(Cause::new(format!("the connection to {} was given up", self.address()))))
    }

    async fn replicas(self: &Arc<Self>) -> Result<Arc<Replicas>, Fault> {
        if let Some(replicas) = self.waiting.get() {
            return Ok(replicas);
        }
        let make = || {
            let link = Arc::clone(self);
            async move { link.make_replicas().await.map(Arc::new) }
        };
        self.waiting.get_or_make(|_| true, Duration::ZERO, make).await.map_err(|fault| {
            tracing::warn!(server = %self.address(), ?fault, "replicas cannot be waited for");
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
