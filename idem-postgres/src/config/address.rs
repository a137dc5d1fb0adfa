//! Where a server is.

use std::fmt;
use std::str::FromStr;

use idem_core::{Error, Result};

use crate::error::invalid;

const DEFAULT_PORT: u16 = 5432;

/// A server's host and port: `db.internal`, `10.0.0.1:5433`, `[::1]:5432`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// The port; 5432 where none is written.
    pub port: u16,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The text is not shown: behind a colon there may be a password, where the `@` that ends it was forgotten.
        let wrong = || {
            invalid(
                "servers: one of them is no address (\"host\", \"host:5432\"); in a user and a password @ / ? and # are \
                 percent-encoded",
            )
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) })
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
        if host.is_empty() || host.contains(['/', '@', ',']) || port == 0 {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
