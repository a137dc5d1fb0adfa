//! The connections to one server: that of calls, and where a write must be held by replicas one that waits for them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::time::Instant;

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
    /// Made when it is first needed, to the very same server.
    replicas: OnceCell<Replicas>,
}

impl Link {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Arc<Dial>, address: &Address) -> Result<Arc<Self>, Fault> {
        let calls = Connection::open(dial, address).await?;
        Ok(Arc::new(Self { calls, dial: Arc::clone(dial), replicas: OnceCell::new() }))
    }

    pub(crate) fn address(&self) -> &Address {
        self.calls.address()
    }

    /// Both or none: what was written on the one is waited for on the other.
    pub(crate) fn is_open(&self) -> bool {
        self.calls.is_open() && self.replicas.get().is_none_or(Replicas::is_open)
    }

    /// Gives the connections up, with all that is in flight on them.
    pub(crate) fn close(&self) {
        self.calls.close();
        if let Some(replicas) = self.replicas.get() {
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

    /// Waits until `replicas` hold all that was answered on this link before, of which the last was about `key`.
    pub(crate) async fn acknowledged(&self, key: &Bytes, replicas: u8, until: Instant) -> Result<(), Fault> {
        if replicas == 0 {
            return Ok(());
        }
        let wait = async { self.replicas().await?.wait(key.clone(), replicas).await };
        self.calls.in_time(wait, until).await.unwrap_or(Err(Fault::OutOfTime))?;
        if self.is_open() {
            return Ok(());
        }
        // Demoted meanwhile, perhaps: what its replicas held then counts for nothing.
        Err(Fault::Unknown(Cause::new(format!("the connection to {} was given up", self.address()))))
    }

    async fn replicas(&self) -> Result<&Replicas, Fault> {
        if let Some(replicas) = self.replicas.get() {
            return Ok(replicas);
        }
        Box::pin(self.replicas.get_or_try_init(|| async {
            let connection = Connection::open(&self.dial, self.address()).await.map_err(Fault::of_wait)?;
            // At one address there may be many servers, or another than before.
            if run_id(&self.calls).await? != run_id(&connection).await? {
                let message =
                    format!("{} is another server than the one that was written to", self.address());
                return Err(Fault::Unknown(Cause::new(message)));
            }
            Ok(Replicas::start(connection, self.dial.ack_timeout))
        }))
        .await
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
    let info = connection.send(&Command::new(["INFO".into(), "server".into()]), None, None).await;
    let info = info.map_err(Fault::of_wait)?;
    let run_id = info.text().and_then(|info| info.lines().find_map(|line| line.strip_prefix("run_id:")));
    run_id.map(str::to_owned).ok_or_else(|| Fault::Unknown(Cause::new("the server does not tell its run_id")))
}

/// Those who wait for something may still hold it for a moment.
impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}
