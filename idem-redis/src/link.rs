//! One connection to one server, for as long as it lasts and no longer.
//!
//! The client library could make a broken connection anew, and send again what was in flight. Here it must not:
//! a `WAIT` says something about the writes of its own connection only. So a [`Link`] is one connection, every
//! command is sent on it once, and whoever needs another connection takes another link.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, Server, ServerConfig, TcpConfig};
use fred::types::{Message, RespVersion, Value};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::Address;
use crate::acks::Acknowledgements;
use crate::dial::Dial;
use crate::fault::{Cause, Fault, of_answer};
use crate::wire::{Batch, Command};

/// Commands that may wait to be written: beyond that many the server is not keeping up, and is not asked.
const MOST_QUEUED: usize = 16_384;
/// Notifications that may wait to be handed on; when more come, all who wait look for themselves.
const MOST_NOTIFICATIONS: usize = 1_024;

/// How often a connection is looked at that has not answered.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Link {
    client: Client,
    /// Reads and writes the connection; ends with it.
    task: AbortHandle,
    address: Address,
    response_timeout: Duration,
    closed: AtomicBool,
    notifies: AtomicBool,
    acknowledgements: Acknowledgements,
}

impl Link {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Dial, address: &Address) -> Result<Arc<Self>, Fault> {
        let client = Client::new(config(dial, address), Some(performance()), Some(connection(dial)), None);
        let task =
            Box::pin(client.init()).await.map_err(|source| Fault::of_client(source, address, false))?;
        let acknowledgements = Acknowledgements::start(client.clone(), address.clone(), dial.ack_timeout);
        Ok(Arc::new(Self {
            client,
            task: task.abort_handle(),
            address: address.clone(),
            response_timeout: dial.response_timeout,
            closed: AtomicBool::new(false),
            notifies: AtomicBool::new(false),
            acknowledgements,
        }))
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && !self.task.is_finished()
    }

    /// Gives the connection up, with all that is in flight on it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task.abort();
    }

    /// Sends one command by its name, once. What is not answered in time closes the link.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
    pub(crate) async fn send(&self, name: &'static str, arguments: Vec<Value>) -> Result<Value, Fault> {
        self.carry(Command::Plain(name, arguments), false, None).await
    }

    /// Sends one command, once; `asking`: to a server that is only getting the key's slot. Waits for its answer no
    /// longer than `until`, and then leaves it behind: only one that takes too long by itself closes the link.
    ///
    /// # Cancel safety
    /// As [`send`](Link::send).
    pub(crate) async fn carry(
        &self,
        command: Command,
        asking: bool,
        until: Option<Instant>,
    ) -> Result<Value, Fault> {
        let batch = Batch::new(&self.client);
        let unsent = |source| Fault::of_client(source, &self.address, false);
        if asking {
            batch.add(Command::Plain("ASKING", Vec::new())).map_err(unsent)?;
        }
        batch.add(command).map_err(unsent)?;
        let answer = self.in_time(pin!(batch.answer()), until).await;
        if answer.as_ref().is_err_and(Fault::is_demotion) {
            self.close();
        }
        answer
    }

    /// Waits until `replicas` hold all that was answered on this link before.
    pub(crate) async fn acknowledged(&self, replicas: u8, until: Instant) -> Result<(), Fault> {
        let until = Some(until);
        if replicas == 0 {
            return Ok(());
        }
        let held = self.unless_silent(pin!(self.acknowledgements.wait(replicas)), until).await;
        if let Err(fault) = held.flatten() {
            return Err(self.closing_unless_known(fault));
        }
        if self.is_open() {
            return Ok(());
        }
        // Demoted meanwhile, perhaps: what its replicas held then counts for nothing.
        Err(Fault::Unknown(Cause::new(format!("the connection to {} was given up", self.address))))
    }

    /// Asks for notifications of `channel`, a key. For [`notifier`](crate::node::Node::notifier)s alone, which says why.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        self.in_time(Box::pin(self.client.ssubscribe(channel)).as_mut(), None).await
    }

    pub(crate) async fn unsubscribe(&self, channel: &str) -> Result<(), Fault> {
        self.in_time(Box::pin(self.client.sunsubscribe(channel)).as_mut(), None).await
    }

    /// True for the first who asks: it is to hand the notifications on.
    pub(crate) fn begins_to_notify(&self) -> bool {
        !self.notifies.swap(true, Ordering::AcqRel)
    }

    /// The notifications that come in from now on.
    pub(crate) fn notifications(&self) -> broadcast::Receiver<Message> {
        self.client.message_rx()
    }

    /// Pinned futures are lent, here and below: those of a call would hold each of them several times over.
    async fn in_time<T>(
        &self,
        answer: Pin<&mut impl Future<Output = fred::prelude::FredResult<T>>>,
        until: Option<Instant>,
    ) -> Result<T, Fault> {
        let answer = self.unless_silent(answer, until).await;
        let answer = answer.and_then(|answer| answer.map_err(|source| of_answer(source, &self.address)));
        answer.map_err(|fault| self.closing_unless_known(fault))
    }

    /// The client library forgets what it is given while its connection ends, so that is looked at meanwhile.
    async fn unless_silent<T>(
        &self,
        mut answer: Pin<&mut impl Future<Output = T>>,
        until: Option<Instant>,
    ) -> Result<T, Fault> {
        let given_up = Instant::now() + self.response_timeout;
        let over = until.map_or(given_up, |until| until.min(given_up));
        while self.is_open() {
            let now = Instant::now();
            if now >= given_up {
                let (address, limit) = (&self.address, self.response_timeout);
                return Err(Fault::Unknown(Cause::new(format!("{address} gave no answer in {limit:?}"))));
            }
            if now >= over {
                return Err(Fault::OutOfTime);
            }
            if let Ok(answer) = timeout_at(over.min(now + LOOK), answer.as_mut()).await {
                return Ok(answer);
            }
        }
        Err(Fault::Unknown(Cause::new(format!("the connection to {} ended", self.address))))
    }

    /// An answer may still come for what is given up: nobody else shall be given it, or wait behind it.
    fn closing_unless_known(&self, fault: Fault) -> Fault {
        if matches!(fault, Fault::Unknown(_)) {
            self.close();
        }
        fault
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(dial: &Dial, address: &Address) -> Config {
    let server = match address {
        Address::Tcp { host, port } => {
            ServerConfig::Centralized { server: Server::new(host.as_str(), *port) }
        }
        Address::Unix(path) => ServerConfig::Unix { path: path.clone() },
    };
    Config {
        server,
        fail_fast: true,
        username: dial.username.clone(),
        password: dial.password.clone(),
        database: (dial.database != 0).then_some(dial.database),
        version: RespVersion::RESP3,
        #[cfg(feature = "tls")]
        tls: dial.tls.clone(),
        ..Config::default()
    }
}

fn performance() -> PerformanceConfig {
    PerformanceConfig { broadcast_channel_capacity: MOST_NOTIFICATIONS, ..PerformanceConfig::default() }
}

fn connection(dial: &Dial) -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: dial.connect_timeout,
        internal_command_timeout: dial.connect_timeout,
        max_command_attempts: 1,
        max_redirections: 1,
        auto_client_setname: false,
        max_command_buffer_len: MOST_QUEUED,
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        ..ConnectionConfig::default()
    }
}
