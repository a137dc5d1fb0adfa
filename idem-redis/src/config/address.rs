//! Addresses of servers, and how they are read from a URI.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use idem_core::config::servers;
use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};

pub(crate) const DEFAULT_PORT: u16 = 6379;

/// Where a server is: `host:port`, `[::1]:port`, or the path of a Unix socket, which begins with `/`.
///
/// The port is 6379 where none is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A host and its port.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let (host, port) = servers::host_and_port(text, DEFAULT_PORT).ok_or_else(|| {
            invalid(format!(
                "{:?} is no server, which has a host and a port (\"127.0.0.1:6379\"); in a user and a password @ / ? and # are \
                 percent-encoded",
                servers::without_password(text)
            ))
        })?;
        Ok(Self::Tcp { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => f.write_str(&servers::written(host, *port)),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The part of a URI between its scheme and its options: `user:password@host:port,host:port/database`.
#[derive(Default)]
pub(crate) struct Target {
    pub(crate) servers: Vec<Address>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u8>,
}

impl Target {
    /// Reads the part between a URI's scheme and its `?`, which is not percent-decoded yet.
    pub(crate) fn read(raw: &str) -> Result<Self> {
        let read = servers::Target::read(raw)?;
        let mut target =
            Self { username: read.user, password: read.password, servers: Vec::new(), database: None };
        let path = read.path.unwrap_or_default();
        if read.servers.is_empty() && read.path.is_some() {
            let path = servers::decoded(path)?.unwrap_or_default();
            target.servers.push(Address::Unix(format!("/{path}").into()));
            return Ok(target);
        }
        target.servers = servers::split_list(read.servers).map(str::parse).collect::<Result<_>>()?;
        if !path.is_empty() {
            // The error does not show the text: where a password contains `?`, the text may be the beginning of it.
            let number = path.parse().map_err(|source| {
                invalid("what follows the servers' / is no number of a database").with_source(source)
            })?;
            target.database = Some(number);
        }
        Ok(target)
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_shown_alike() {
        for (text, shown) in [
            ("127.0.0.1:7000", "127.0.0.1:7000"),
            ("redis.example", "redis.example:6379"),
            ("[::1]:7000", "[::1]:7000"),
            ("[::1]", "[::1]:6379"),
            ("::1", "[::1]:6379"),
            ("[fe80::1%eth0]:7000", "[fe80::1%eth0]:7000"),
            ("/run/redis.sock", "/run/redis.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            ":7000",
            "host:0",
            "host:65536",
            "host:port",
            "a b:1",
            "[::1:1",
            "a:b:1",
            "::g",
            "user@host:1",
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().kind(), ErrorKind::InvalidConfig, "{text}");
        }
    }

    #[test]
    fn a_mistake_shows_no_password() {
        for raw in [
            "user:hunter2",
            ":hunter2",
            "user:hunter2,h:1",
            "h:1,user:hunter2",
            "user:h:hunter2",
            "[:hunter2]",
            "u:12hunter2",
            "user:65536hunter2",
        ] {
            let error = Target::read(raw).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{raw}: {error}");
        }
        let error = Target::read("user:12345678").err().unwrap();
        assert!(!error.message().contains("12345678"), "{error}");
    }

    #[test]
    fn a_target_has_user_password_servers_and_database() {
        let target = Target::read("us%40er:p%40ss%2Fw:d@h1:7000,h2/3").unwrap();
        assert_eq!(target.username.as_deref(), Some("us@er"));
        assert_eq!(target.password.as_deref(), Some("p@ss/w:d"));
        assert_eq!(
            target.servers,
            [("h1", 7000), ("h2", 6379)].map(|(host, port)| Address::Tcp { host: host.into(), port })
        );
        assert_eq!(target.database, Some(3));
    }

    #[test]
    fn a_password_may_stand_without_a_user_and_a_socket_without_a_host() {
        let target = Target::read(":secret@/run/re%20dis.sock").unwrap();
        assert_eq!((target.username, target.password.as_deref()), (None, Some("secret")));
        assert_eq!(target.servers, [Address::Unix("/run/re dis.sock".into())]);
    }
}
