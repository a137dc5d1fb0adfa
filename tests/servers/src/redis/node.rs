//! The address of a server, and commands to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::kind;
use super::wire::{Connection, Reply};

/// Longer than a healthy server takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The address of a server, and the login for it. A node does not own the server, which may have ended.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    pub(super) addr: SocketAddr,
    pub(super) login: Option<Login>,
}

/// A password, and a user: `default` if `None`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

impl Node {
    /// The node of a server without a password.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, login: None }
    }

    /// The IP address and the port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The IP address.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.addr.ip()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// `redis://127.0.0.1:7000`, with user and password if it has them.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("redis://{}{}", self.userinfo(), self.addr)
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// Those of the socket; a refused login is [`PermissionDenied`](io::ErrorKind::PermissionDenied).
    pub async fn connect(&self) -> io::Result<Connection> {
        self.connect_within(TIMEOUT).await
    }

    /// Connects and logs in, with `timeout` as the limit for connecting and for each command.
    ///
    /// # Errors
    /// Those of [`connect`](Node::connect).
    pub async fn connect_within(&self, timeout: Duration) -> io::Result<Connection> {
        let mut connection = Connection::open(self.addr, timeout).await?;
        if let Some(Login { user, password }) = &self.login {
            let user = user.as_deref().unwrap_or("default");
            if let Reply::Error(refusal) = connection.command(&["AUTH", user, password]).await? {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
            }
        }
        Ok(connection)
    }

    /// Sends one command on a new connection. A refusal by the server is an `Ok(Reply::Error)`.
    ///
    /// # Errors
    /// Those of [`connect`](Node::connect) and [`Connection::command`].
    pub async fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> io::Result<Reply> {
        self.connect().await?.command(args).await
    }

    /// Sends one command, as [`command`](Node::command) does, that must succeed.
    ///
    /// # Panics
    /// When the command fails or is refused.
    pub async fn run<A: AsRef<[u8]>>(&self, args: &[A]) -> Reply {
        let what =
            || args.iter().map(|arg| String::from_utf8_lossy(arg.as_ref())).collect::<Vec<_>>().join(" ");
        match self.command(args).await {
            Ok(Reply::Error(refusal)) => panic!("{self} refused {}: {refusal}", what()),
            Ok(reply) => reply,
            Err(error) => panic!("{self} did not answer {}: {error}", what()),
        }
    }

    /// Product and version: `Redis 8.2.3`, `Valkey 9.1.2`.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn version(&self) -> String {
        kind::version(&self.run(&["INFO", "server"]).await)
    }

    pub(super) fn userinfo(&self) -> String {
        let Some(Login { user, password }) = &self.login else { return String::new() };
        format!("{}:{password}@", user.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user.as_deref().unwrap_or("default"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr.fmt(f)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.addr)
    }
}
