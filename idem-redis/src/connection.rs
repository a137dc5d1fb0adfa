//! One connection to one server, for as long as it lasts and no longer.
//!
//! The client library could make a broken connection anew, and send again what was in flight. Here it must not:
//! a `WAIT` says something about the writes of its own connection only. So a [`Connection`] is made once, every
//! command is sent on it once, and whoever needs another takes another one.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::prelude::FredResult;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, Server, ServerConfig, TcpConfig};
use fred::types::{RespVersion, Value};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::Address;
use crate::dial::Dial;
use crate::fault::{Cause, Fault, of_answer};
use crate::wire::{Batch, Command};

/// Commands that may wait to be written: beyond that many the server is not keeping up, and is not asked.
const MOST_QUEUED: usize = 16_384;
/// Notifications that may wait to be handed on; when more come, all who wait look for themselves.
const MOST_NOTIFICATIONS: usize = 1_024;

/// How often a connection is looked at that has not answered.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Connection {
    client: Client,
    /// Reads and writes it; ends with it.
    task: AbortHandle,
    address: Address,
    response_timeout: Duration,
    closed: AtomicBool,
}

impl Connection {
    /// Connects and logs in. Bounded by the dial's time limits.
    pub(crate) async fn open(dial: &Dial, address: &Address) -> Result<Arc<Self>, Fault> {
        let client = Client::new(config(dial, address), Some(performance()), Some(connection(dial)), None);
        let task =
            Box::pin(client.init()).await.map_err(|source| Fault::of_client(source, address, false))?;
        Ok(Arc::new(Self {
            client,
            task: task.abort_handle(),
            address: address.clone(),
            response_timeout: dial.response_timeout,
            closed: AtomicBool::new(false),
        }))
    }

    /// For what is not sent by [`carry`](Connection::carry).
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && !self.task.is_finished()
    }

    /// Gives it up, with all that is in flight on it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task.abort();
    }

    /// Sends one command, once; `asking`: to a server that is only getting the key's slot. Waits for its answer no
    /// longer than `until`, and then leaves it behind: only one that takes too long by itself ends the connection.
    ///
    /// # Cancel safety
    /// A dropped future leaves open whether the command is sent and done.
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
        self.in_time(pin!(batch.answer()), until).await
    }

    /// Pinned futures are lent, here and below: those of a call would hold each of them several times over.
    pub(crate) async fn in_time<T>(
        &self,
        answer: Pin<&mut impl Future<Output = FredResult<T>>>,
        until: Option<Instant>,
    ) -> Result<T, Fault> {
        let answer = self.unless_silent(answer, until).await;
        self.heeding(answer.and_then(|answer| answer.map_err(|source| of_answer(source, &self.address))))
    }

    /// The client library forgets what it is given while its connection ends, so that is looked at meanwhile.
    pub(crate) async fn unless_silent<T>(
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
        Err(self.ended())
    }

    /// Ends the connection where an answer says so. One may still come for what is given up: nobody else shall be
    /// given it, or wait behind it. And what a server acknowledges that is no master any more counts for nothing.
    pub(crate) fn heeding<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if answer.as_ref().is_err_and(|fault| matches!(fault, Fault::Unknown(_)) || fault.is_demotion()) {
            self.close();
        }
        answer
    }

    /// What is known of a command whose answer will not come.
    pub(crate) fn ended(&self) -> Fault {
        Fault::Unknown(Cause::new(format!("the connection to {} ended", self.address)))
    }
}

impl Drop for Connection {
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
