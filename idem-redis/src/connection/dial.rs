//! How connections are made: what of the configuration a single connection needs.

use std::sync::Arc;
use std::time::Duration;

use idem_core::{ErrorKind, Result};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::queue::Queue;
use super::serve::Served;
use super::{Connection, Notified};
use crate::protocol::command::{Command, Part};
use crate::protocol::fault::{Cause, Fault};
use crate::{Address, RedisConfig};

/// Who logs in.
#[derive(Clone, Default)]
struct Login {
    username: Option<String>,
    password: Option<String>,
    database: u8,
}

pub(crate) struct Dial {
    login: Login,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::Connector>,
    connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    notified: Arc<dyn Notified>,
}

impl Dial {
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "certificates are read with TLS")
    )]
    pub(crate) fn new(config: &RedisConfig, notified: Arc<dyn Notified>) -> Result<Self> {
        Ok(Self {
            login: Login {
                username: config.username.clone(),
                password: config.password.clone(),
                database: config.database,
            },
            #[cfg(feature = "tls")]
            tls: super::tls::connector(config)?,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            ack_timeout: config.ack_timeout,
            notified,
        })
    }

    /// For sentinels, which have no databases and their own users.
    pub(crate) fn of_sentinels(&self, config: &RedisConfig) -> Self {
        Self {
            login: Login {
                username: config.sentinel_username.clone(),
                password: config.sentinel_password.clone(),
                database: 0,
            },
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            notified: Arc::clone(&self.notified),
            ..*self
        }
    }

    /// Connects, and begins to serve `queue`.
    pub(super) async fn connect(&self, address: &Address, queue: &Arc<Queue>) -> Result<AbortHandle, Fault> {
        timeout(self.connect_timeout, self.reach(address, queue)).await.unwrap_or_else(|_| {
            let limit = self.connect_timeout;
            Err(Fault::Later(Cause::new(format!("{address} cannot be reached: no connection in {limit:?}"))))
        })
    }

    async fn reach(&self, address: &Address, queue: &Arc<Queue>) -> Result<AbortHandle, Fault> {
        let served = Served {
            queue: Arc::clone(queue),
            address: address.clone(),
            response_timeout: self.response_timeout,
            notified: Arc::clone(&self.notified),
        };
        let unreachable = |error| Fault::Later(Cause::of(format!("{address} cannot be reached"), error));
        let task = match address {
            Address::Unix(path) => {
                let (reader, writer) = UnixStream::connect(path).await.map_err(unreachable)?.into_split();
                tokio::spawn(served.serve(reader, writer))
            }
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    let (reader, writer) = tokio::io::split(tls.secure(stream, host, address).await?);
                    return Ok(tokio::spawn(served.serve(reader, writer)).abort_handle());
                }
                let (reader, writer) = stream.into_split();
                tokio::spawn(served.serve(reader, writer))
            }
        };
        Ok(task.abort_handle())
    }

    /// Chooses the protocol, the user and the database.
    pub(super) async fn log_in(&self, connection: &Connection) -> Result<(), Fault> {
        let Login { username, password, database } = &self.login;
        let mut hello = vec![Part::from("HELLO"), Part::Number(3)];
        if username.is_some() || password.is_some() {
            let username = username.clone().unwrap_or_else(|| "default".to_owned());
            hello.extend(["AUTH".into(), username.into(), password.clone().unwrap_or_default().into()]);
        }
        self.ask(connection, Command::new(hello))
            .await
            .map_err(|fault| refused(fault, connection.address()))?;
        if *database != 0 {
            let select = Command::new(["SELECT".into(), Part::Number((*database).into())]);
            self.ask(connection, select).await?;
        }
        Ok(())
    }

    async fn ask(&self, connection: &Connection, command: Command) -> Result<(), Fault> {
        let asked = timeout(self.connect_timeout, connection.send(&command, None, None)).await;
        let limit = self.connect_timeout;
        let silent = || Cause::new(format!("{} gave no answer in {limit:?}", connection.address()));
        match asked.unwrap_or_else(|_| Err(Fault::Later(silent()))) {
            // A server may look at certificates only when it thinks that all is well.
            #[cfg(feature = "tls")]
            Err(Fault::Unknown(cause)) if cause.source().is_some_and(super::tls::is_refusal) => {
                Err(super::tls::refused(connection.address(), cause))
            }
            // Nothing was written yet that anybody could mind.
            Err(Fault::Unknown(cause)) => Err(Fault::Later(cause)),
            answer => answer.map(drop),
        }
    }
}

/// What a refusal of `HELLO` means.
fn refused(fault: Fault, server: &Address) -> Fault {
    match fault {
        Fault::Refused(ErrorKind::InvalidConfig, cause) => Fault::Refused(
            ErrorKind::InvalidConfig,
            cause.within(&format!("{server} refuses the user or password")),
        ),
        Fault::Refused(_, cause) => Fault::Refused(
            ErrorKind::InvalidConfig,
            cause.within(&format!("{server} does not speak RESP3: Redis 7.0 or later is needed, or Valkey")),
        ),
        fault => fault,
    }
}
