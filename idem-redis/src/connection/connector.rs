//! Connects to servers and logs in.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::address::Address;
use crate::config::redis_config::RedisConfig;
use crate::connection::connection_task::ConnectionTask;
use crate::connection::notification_listener::NotificationListener;
use crate::connection::pipelined::Connection;
use crate::connection::queue::Queue;
#[cfg(feature = "tls")]
use crate::connection::tls::{self, CertificateFiles};
use crate::protocol::command::{Command, Part};
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::errors::error_reply::{of_hello, of_reply};
use crate::protocol::reply::Reply;

/// The user and database of a connection.
#[derive(Clone, Default)]
struct Login {
    username: Option<String>,
    password: Option<String>,
    database: u8,
}

pub(crate) struct Connector {
    login: Login,
    #[cfg(feature = "tls")]
    tls: Option<CertificateFiles>,
    connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    max_reply_bytes: usize,
    listener: Arc<dyn NotificationListener>,
}

impl Connector {
    pub(crate) fn new(config: &RedisConfig, listener: Arc<dyn NotificationListener>) -> Self {
        Self {
            login: Login {
                username: config.username.clone(),
                password: config.password.clone(),
                database: config.database,
            },
            #[cfg(feature = "tls")]
            tls: CertificateFiles::of(config),
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            ack_timeout: config.ack_timeout,
            max_reply_bytes: max_reply_bytes(config.max_outcome),
            listener,
        }
    }

    /// A connector to sentinels, which have their own users and no databases.
    pub(crate) fn of_sentinels(&self, config: &RedisConfig) -> Self {
        Self {
            login: Login {
                username: config.sentinel_username.clone(),
                password: config.sentinel_password.clone(),
                database: 0,
            },
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            listener: Arc::clone(&self.listener),
            ..*self
        }
    }

    /// Upper bound of the time until a connection can be used: connecting, logging in, and the queries that follow one
    /// another (`INFO`, `CONFIG`, `TIME`, `CLUSTER INFO`, `CLUSTER SLOTS`, the scripts, the marker twice).
    pub(crate) fn max_setup_time(&self) -> Duration {
        self.connect_timeout * 3 + self.response_timeout * 12
    }

    /// Connects and logs in, each within its time limit.
    pub(super) async fn connect(&self, address: &Address) -> Result<Connection, AttemptError> {
        let queue = Arc::new(Queue::new());
        let task = self.start_task(address, &queue).await?;
        let connection = Connection::new(queue, task, address.clone(), self.response_timeout);
        self.log_in(&connection).await?;
        Ok(connection)
    }

    /// Connects, and starts the task that serves `queue`.
    async fn start_task(&self, address: &Address, queue: &Arc<Queue>) -> Result<AbortHandle, AttemptError> {
        timeout(self.connect_timeout, self.start_task_unbounded(address, queue)).await.unwrap_or_else(|_| {
            let limit = self.connect_timeout;
            Err(AttemptError::Later(Cause::new(format!(
                "{address} cannot be reached: no connection in {limit:?}"
            ))))
        })
    }

    async fn start_task_unbounded(
        &self,
        address: &Address,
        queue: &Arc<Queue>,
    ) -> Result<AbortHandle, AttemptError> {
        let connection_task = ConnectionTask {
            queue: Arc::clone(queue),
            address: address.clone(),
            response_timeout: self.response_timeout,
            max_reply_bytes: self.max_reply_bytes,
            listener: Arc::clone(&self.listener),
        };
        let unreachable =
            |error| AttemptError::Later(Cause::with_source(format!("{address} cannot be reached"), error));
        let task = match address {
            Address::Unix(path) => {
                let (reader, writer) = UnixStream::connect(path).await.map_err(unreachable)?.into_split();
                tokio::spawn(connection_task.serve(reader, writer))
            }
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    let secured = tls.load().await?.handshake(stream, host, address).await?;
                    let (reader, writer) = tokio::io::split(secured);
                    return Ok(tokio::spawn(connection_task.serve(reader, writer)).abort_handle());
                }
                let (reader, writer) = stream.into_split();
                tokio::spawn(connection_task.serve(reader, writer))
            }
        };
        Ok(task.abort_handle())
    }

    /// Chooses the protocol, the user and the database.
    async fn log_in(&self, connection: &Connection) -> Result<(), AttemptError> {
        let Login { username, password, database } = &self.login;
        let mut hello = vec![Part::from("HELLO"), Part::Number(3)];
        if username.is_some() || password.is_some() {
            let username = username.clone().unwrap_or_else(|| "default".to_owned());
            hello.extend(["AUTH".into(), username.into(), password.clone().unwrap_or_default().into()]);
        }
        let server = connection.address();
        match self.ask(connection, Command::new(hello)).await? {
            Reply::Error(text) => return Err(of_hello(&String::from_utf8_lossy(&text), server)),
            _ if *database == 0 => return Ok(()),
            _ => {}
        }
        let select = Command::new(["SELECT".into(), Part::Number((*database).into())]);
        match self.ask(connection, select).await? {
            Reply::Error(text) => Err(of_reply(&String::from_utf8_lossy(&text), server).of_query()),
            _ => Ok(()),
        }
    }

    async fn ask(&self, connection: &Connection, command: Command) -> Result<Reply, AttemptError> {
        let asked = timeout(self.connect_timeout, connection.ask(&command)).await;
        let limit = self.connect_timeout;
        let silent = || Cause::new(format!("{} gave no answer in {limit:?}", connection.address()));
        match asked.unwrap_or_else(|_| Err(AttemptError::Later(silent()))) {
            // The server may check the client's certificate only after the client's side of the handshake has succeeded.
            #[cfg(feature = "tls")]
            Err(AttemptError::Unknown(cause) | AttemptError::Later(cause))
                if cause.source().is_some_and(tls::is_refusal) =>
            {
                Err(tls::refused(connection.address(), cause))
            }
            // Logging in has no effect on data.
            Err(AttemptError::Unknown(cause)) => Err(AttemptError::Later(cause)),
            answer => answer,
        }
    }
}

/// Far more than any expected answer has: another process may be configured for larger outcomes than this one.
fn max_reply_bytes(max_outcome: u64) -> usize {
    usize::try_from(max_outcome.saturating_mul(4)).unwrap_or(usize::MAX).clamp(8 << 20, 1 << 30)
}
