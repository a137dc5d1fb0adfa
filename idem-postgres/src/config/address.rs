//! Where a server is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use idem_core::config::servers;
use idem_core::{Error, Result};

use crate::error::invalid;

pub(crate) const DEFAULT_PORT: u16 = 5432;

/// A server's host and port: `db.internal`, `10.0.0.1:5433`, `[::1]:5432`, or the folder of its Unix socket,
/// `/run/postgresql`.
///
/// To parse any other text is [`InvalidConfig`](idem_core::ErrorKind::InvalidConfig). The error does not show the text.
///
/// ```
/// use idem_postgres::Address;
///
/// let server: Address = "db.internal:5433".parse()?;
/// assert_eq!((&*server.host, server.port), ("db.internal", 5433));
/// assert_eq!("/run/postgresql".parse::<Address>()?.host, "/run/postgresql");
/// # Ok::<(), idem_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name, an IP address, or the folder of a Unix socket, which begins with `/`.
    pub host: String,
    /// The port; 5432 where none is written. The file of a Unix socket is `.s.PGSQL.<port>`.
    pub port: u16,
}

impl Address {
    /// A host without a port, and a port.
    pub(crate) fn of(host: &str, port: u16) -> Result<Self> {
        let text =
            if host.starts_with('/') { format!("{host}:{port}") } else { servers::written(host, port) };
        text.parse()
    }

    /// Whether the server is reached by a Unix socket.
    pub(crate) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// Whether the host, as it is written, is this machine: a Unix socket, `localhost` or a loopback address. A name is not
    /// resolved.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        let by_ip = || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.is_socket() || self.host.eq_ignore_ascii_case("localhost") || by_ip()
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The text is not shown: behind a colon there may be a password, where the `@` that ends it was forgotten.
        let wrong = || {
            invalid(
                "servers: one of them is no address (\"host\", \"host:5432\", \"/run/postgresql\"); in a user and a \
                 password @ / ? and # are percent-encoded",
            )
        };
        let (host, port) = if text.starts_with('/') {
            socket(text)
        } else {
            servers::host_and_port(text, DEFAULT_PORT).ok_or_else(wrong)?
        };
        if port == 0 || host.contains(['@', '\0']) {
            return Err(wrong());
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_socket() {
            return write!(f, "{}/.s.PGSQL.{}", self.host.trim_end_matches('/'), self.port);
        }
        f.write_str(&servers::written(&self.host, self.port))
    }
}

/// The folder, which may have colons in its name, and the port.
fn socket(text: &str) -> (String, u16) {
    let with_port = text.rsplit_once(':').and_then(|(folder, port)| Some((folder, port.parse().ok()?)));
    let (folder, port) = with_port.unwrap_or((text, DEFAULT_PORT));
    (folder.to_owned(), port)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_shown() {
        for (text, host, port, shown) in [
            ("db.internal", "db.internal", 5432, "db.internal:5432"),
            ("10.0.0.1:5433", "10.0.0.1", 5433, "10.0.0.1:5433"),
            ("[::1]:5433", "::1", 5433, "[::1]:5433"),
            ("::1", "::1", 5432, "[::1]:5432"),
            ("/run/postgresql", "/run/postgresql", 5432, "/run/postgresql/.s.PGSQL.5432"),
            ("/run/postgresql/:5433", "/run/postgresql/", 5433, "/run/postgresql/.s.PGSQL.5433"),
            ("/run/a:b", "/run/a:b", 5432, "/run/a:b/.s.PGSQL.5432"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((&*address.host, address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        for text in ["", ":5432", "host:0", "host:port", "a:b:c", "u@host", "/run:0", "/run@x"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_on_this_machine_is_told_from_what_is_not() {
        for (text, is_here) in [
            ("/run/postgresql", true),
            ("localhost", true),
            ("LocalHost:5433", true),
            ("127.0.0.1", true),
            ("127.8.0.1", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("db.internal", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("[::2]", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_on_this_machine(), is_here, "{text}");
        }
    }
}
