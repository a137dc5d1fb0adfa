//! A connection with those who share it: what is sent together on it, and who waits for its replicas.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fred::interfaces::{EventInterface, PubsubInterface};
use fred::types::{Message, Value};
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::Address;
use crate::acks::Acknowledgements;
use crate::connection::Connection;
use crate::dial::Dial;
use crate::fault::{Cause, Fault};
use crate::together::{Joint, Together};
use crate::wire::Command;

pub(crate) struct Link {
    connection: Arc<Connection>,
    /// None in a cluster, where a script has one key.
    together: Option<Together>,
    acknowledgements: Acknowledgements,
    notifies: AtomicBool,
}

impl Link {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Dial, address: &Address) -> Result<Arc<Self>, Fault> {
        let connection = Connection::open(dial, address).await?;
        let together = dial.together.then(|| Together::start(Arc::clone(&connection)));
        let acknowledgements = Acknowledgements::start(Arc::clone(&connection), dial.ack_timeout);
        Ok(Arc::new(Self { connection, together, acknowledgements, notifies: AtomicBool::new(false) }))
    }

    pub(crate) fn address(&self) -> &Address {
        self.connection.address()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Gives the connection up, with all that is in flight on it.
    pub(crate) fn close(&self) {
        self.connection.close();
    }

    /// Sends one command by its name, once. What is not answered in time closes the link.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
    pub(crate) async fn send(&self, name: &'static str, arguments: Vec<Value>) -> Result<Value, Fault> {
        self.carry(Command::Plain(name, arguments), false, None).await
    }

    /// Sends one command, once, as [`Connection::carry`] does.
    pub(crate) async fn carry(
        &self,
        command: Command,
        asking: bool,
        until: Option<Instant>,
    ) -> Result<Value, Fault> {
        self.connection.carry(command, asking, until).await
    }

    /// Sends one command, once: with those of other callers where there are some. As [`carry`](Link::carry) besides.
    pub(crate) async fn carry_jointly(&self, joint: Joint, until: Instant) -> Result<Value, Fault> {
        match &self.together {
            Some(together) => together.carry(joint, until).await,
            None => self.carry(joint.alone(), false, Some(until)).await,
        }
    }

    /// Waits until `replicas` hold all that was answered on this link before.
    pub(crate) async fn acknowledged(&self, replicas: u8, until: Instant) -> Result<(), Fault> {
        if replicas == 0 {
            return Ok(());
        }
        let held =
            self.connection.unless_silent(pin!(self.acknowledgements.wait(replicas)), Some(until)).await;
        self.connection.heeding(held.flatten())?;
        if self.is_open() {
            return Ok(());
        }
        // Demoted meanwhile, perhaps: what its replicas held then counts for nothing.
        Err(Fault::Unknown(Cause::new(format!("the connection to {} was given up", self.address()))))
    }

    /// Asks for notifications of `channel`, a key. For [`notifier`](crate::node::Node::notifier)s alone, which says why.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        let client = self.connection.client();
        self.connection.in_time(Box::pin(client.ssubscribe(channel)).as_mut(), None).await
    }

    pub(crate) async fn unsubscribe(&self, channel: &str) -> Result<(), Fault> {
        let client = self.connection.client();
        self.connection.in_time(Box::pin(client.sunsubscribe(channel)).as_mut(), None).await
    }

    /// True for the first who asks: it is to hand the notifications on.
    pub(crate) fn begins_to_notify(&self) -> bool {
        !self.notifies.swap(true, Ordering::AcqRel)
    }

    /// The notifications that come in from now on.
    pub(crate) fn notifications(&self) -> broadcast::Receiver<Message> {
        self.connection.client().message_rx()
    }
}

/// Those who serve it may still hold the connection for a moment.
impl Drop for Link {
    fn drop(&mut self) {
        self.connection.close();
    }
}
