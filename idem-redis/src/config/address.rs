//! Addresses of servers, and how they are read from a URI.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

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
        let (host, port) = split_port(text);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.map_or(Ok(DEFAULT_PORT), str::parse);
        match port {
            Ok(port)
                if port != 0
                    && !host.is_empty()
                    && !host.contains(['[', ']', '/', ' ', '@'])
                    && (!host.contains(':') || is_ipv6(host)) =>
            {
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            _ => Err(invalid(format!(
                "{:?} is no server, which has a host and a port (\"127.0.0.1:6379\"); in a user and a password @ / ? and # are \
                 percent-encoded",
                without_password(text)
            ))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
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
        let (user_info, rest) = match raw.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, raw),
        };
        let mut target = Self::default();
        if let Some(user_info) = user_info {
            let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            target.username = decoded(username)?;
            target.password = decoded(password)?;
        }
        if rest.starts_with('/') {
            target.servers = decoded(rest)?.iter().map(|path| Address::Unix(path.into())).collect();
            return Ok(target);
        }
        let (servers, database) = rest.split_once('/').unwrap_or((rest, ""));
        target.servers = read_servers(servers)?;
        if !database.is_empty() {
            // The error does not show the text: where a password contains `?`, the text may be the beginning of it.
            let number = database.parse().map_err(|source| {
                invalid("what follows the servers' / is no number of a database").with_source(source)
            })?;
            target.database = Some(number);
        }
        Ok(target)
    }
}

/// Reads a comma-separated list of servers.
pub(crate) fn read_servers(text: &str) -> Result<Vec<Address>> {
    text.split(',').map(str::trim).filter(|server| !server.is_empty()).map(str::parse).collect()
}

/// Whether `host` is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// What an error may show of `text`. After a colon there may be a password instead of a port: the servers of a URI end at
/// the first `?`, and a `?` in a password is easily left unencoded.
fn without_password(text: &str) -> String {
    if let Some((_, server)) = text.rsplit_once('@') {
        return format!("...@{server}");
    }
    match text.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.parse::<u16>().is_err() => format!("{host}:..."),
        _ => text.to_owned(),
    }
}

/// Splits a host from its port. An IPv6 address has a port only after its closing bracket.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && (host.ends_with(']') || !host.contains(':')) => {
            (host, Some(port))
        }
        _ => (text, None),
    }
}

/// Percent-decodes `text`; `None` when it is empty. The error does not show the text, which may be a password.
fn decoded(text: &str) -> Result<Option<String>> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|source| invalid("a percent-encoded part of the URI is not UTF-8").with_source(source))?;
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
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
