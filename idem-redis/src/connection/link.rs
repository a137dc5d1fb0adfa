//! A link is up to two connections to one server: one for calls, and one that waits for replicas where they must hold a
//! write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::config::address::Address;
use crate::connection::acknowledgers::Acknowledgers;
use crate::connection::connector::Connector;
use crate::connection::pipelined::Connection;
use crate::connection::replicas::Replicas;
use crate::connection::single_flight::SingleFlight;
use crate::protocol::command::{Command, Part};
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;

pub(crate) struct Link {
    calls: Connection,
    connector: Arc<Connector>,
    identity: OnceLock<Identity>,
    has_data: AtomicBool,
    /// The connection that waits for replicas. It is made when it is first needed, and leads to the same server process.
    waiting: SingleFlight<Arc<Replicas>>,
}

/// Which server process a link leads to, and since when it is master.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Changes with every start of the server.
    pub(crate) run_id: String,
    /// Changes with every promotion of the server to master.
    pub(crate) replication_id: String,
}

impl Link {
    /// Connects and logs in. Bounded by the connector's time limits.
    pub(crate) async fn open(
        connector: &Arc<Connector>,
        address: &Address,
    ) -> Result<Arc<Self>, AttemptError> {
        let calls = connector.connect(address).await?;
        Ok(Arc::new(Self {
            calls,
            connector: Arc::clone(connector),
            identity: OnceLock::new(),
            has_data: AtomicBool::new(false),
            waiting: SingleFlight::new(connector.max_setup_time()),
        }))
    }

    pub(crate) fn address(&self) -> &Address {
        self.calls.address()
    }

    /// Whether the link can be used. Both connections are needed: what was written on one is waited for on the other.
    pub(crate) fn is_open(&self) -> bool {
        self.calls.is_open() && self.waiting.is_none_or(|replicas| replicas.is_open())
    }

    /// Closes both connections. Calls in flight on them fail.
    pub(crate) fn close(&self) {
        self.calls.close();
        if let Some(replicas) = self.waiting.get() {
            replicas.close();
        }
    }

    /// Sends one query, once.
    ///
    /// # Cancel safety
    /// After a dropped future the command may or may not have been sent and carried out.
    pub(crate) async fn ask(&self, parts: impl Into<Vec<Part>>) -> Result<Reply, AttemptError> {
        self.run(&Command::new(parts)).await
    }

    /// As [`ask`](Self::ask), with a command that is already built.
    pub(crate) async fn run(&self, command: &Command) -> Result<Reply, AttemptError> {
        self.calls.send(command, None, None).await
    }

    /// Sends one command, once, as [`Connection::send`] does. `asking`: the server is only importing the key's slot, so the
    /// command is preceded by `ASKING`.
    pub(crate) async fn send(
        &self,
        command: &Command,
        asking: bool,
        until: Instant,
    ) -> Result<Reply, AttemptError> {
        let before = asking.then(|| Command::new(["ASKING".into()]));
        self.calls.send(command, before.as_ref(), Some(until)).await
    }

    /// Records which server process this link leads to. Called once, right after connecting.
    pub(crate) fn identify(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// Whether the server is still the process, in the role, that the link connected to.
    pub(crate) fn leads_to(&self, identity: &Identity) -> bool {
        self.identity.get().is_none_or(|of| of == identity)
    }

    /// Whether the server was found to still have its data.
    pub(crate) fn has_data(&self) -> bool {
        self.has_data.load(Ordering::Acquire)
    }

    /// Records that the data was found. The next check notices data that is lost while the connection stays open
    /// (`FLUSHALL`).
    pub(crate) fn found_data(&self) {
        self.has_data.store(true, Ordering::Release);
    }

    /// Waits until every write that was answered on this link so far is acknowledged `by` these. `key` is that of the last
    /// such write. `asking` is as for [`send`](Link::send).
    pub(crate) async fn acknowledged(
        self: &Arc<Self>,
        key: &Bytes,
        asking: bool,
        by: Acknowledgers,
        until: Instant,
    ) -> Result<(), AttemptError> {
        if by.is_none() {
            return Ok(());
        }
        let wait = async { self.replicas().await?.wait(key.clone(), asking, by).await };
        let waited = timeout_at(until, wait).await.unwrap_or_else(|_| {
            // A connection that is being served is never silent this long, so the runtime that serves it is not running.
            let silence = self.waiting.get().map(|replicas| replicas.silence());
            if silence.is_some_and(|silence| silence >= self.connector.response_timeout * 2) {
                self.close();
            }
            Err(AttemptError::OutOfTime)
        });
        waited?;
        if self.is_open() {
            return Ok(());
        }
        // The server may have been demoted meanwhile, which voids the acknowledgement of its replicas.
        Err(AttemptError::Unknown(Cause::new(format!("the connection to {} was given up", self.address()))))
    }

    async fn replicas(self: &Arc<Self>) -> Result<Arc<Replicas>, AttemptError> {
        if let Some(replicas) = self.waiting.get() {
            return Ok(replicas);
        }
        let make = || {
            let link = Arc::clone(self);
            async move { link.make_replicas().await.map(Arc::new) }
        };
        self.waiting.get_or_make(|_| true, Duration::ZERO, make).await.map_err(|error| {
            tracing::warn!(server = %self.address(), fault = ?error, "replicas cannot be waited for");
            let message = format!("the replicas of {} cannot be waited for", self.address());
            AttemptError::Unknown(Cause::new(message))
        })
    }

    async fn make_replicas(&self) -> Result<Replicas, AttemptError> {
        let connection = self.connector.connect(self.address()).await?;
        let identity = self.identity.get().cloned().unwrap_or_default();
        // One address may lead to several servers, or to a different server than before.
        if run_id(&connection).await? != identity.run_id {
            let message = format!("{} is another server than the one that was written to", self.address());
            return Err(AttemptError::Unknown(Cause::new(message)));
        }
        Ok(Replicas::start(connection, self.connector.ack_timeout, identity.replication_id))
    }

    /// Subscribes to `channel`, which has the name of a Redis key.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), AttemptError> {
        self.calls.subscribe(&Command::new(["SSUBSCRIBE".into(), channel.to_owned().into()])).await
    }

    pub(crate) async fn unsubscribe(&self, channel: &str) -> Result<(), AttemptError> {
        self.calls.subscribe(&Command::new(["SUNSUBSCRIBE".into(), channel.to_owned().into()])).await
    }
}

/// The id of the server process, which tells a restarted server from its earlier process.
async fn run_id(connection: &Connection) -> Result<String, AttemptError> {
    let info = connection.send(&Command::new(["INFO".into(), "server".into()]), None, None).await?;
    let run_id = info.field("run_id").map(str::to_owned);
    run_id.ok_or_else(|| AttemptError::Unknown(Cause::new("the server does not tell its run_id")))
}

/// Closes both connections at once, although waiting callers may hold references to them for a moment longer.
impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}
