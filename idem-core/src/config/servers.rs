//! How servers are named in a configuration, the same in every backend that has some.
//!
//! ```
//! use idem_core::config::servers::{Target, host_and_port, split_list};
//!
//! let target = Target::read("app:p%40ss@h1:7000,[::1]/shop")?;
//! assert_eq!((target.user.as_deref(), target.password.as_deref()), (Some("app"), Some("p@ss")));
//! let servers: Vec<_> = split_list(target.servers).filter_map(|server| host_and_port(server, 6379)).collect();
//! assert_eq!(servers, [("h1".to_owned(), 7000), ("::1".to_owned(), 6379)]);
//! assert_eq!(target.path, Some("shop"));
//! # Ok::<(), idem_core::Error>(())
//! ```
//!
//! A password may stand where nobody expects it: behind the colon of a server, when the `@` that ends it was forgotten,
//! and in front of the `?` that it has in it. So no error and no `Debug` of this module shows a text that it cannot read.

use std::fmt;
use std::marker::PhantomData;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::Deserializer;
use serde::de::{Error as _, SeqAccess, Visitor};

use super::options::invalid;
use crate::error::{Error, Result};

/// The parts of a URI's target: `user:password@host:port,host:port/path`.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target<'t> {
    /// Who logs in, percent-decoded. `None` when it is missing or empty.
    pub user: Option<String>,
    /// The password, percent-decoded. `None` when it is missing or empty.
    pub password: Option<String>,
    /// What stands between the `@` and the first `/` behind it, as it was written.
    pub servers: &'t str,
    /// What stands behind that `/`, as it was written. `None` where there is no `/`.
    pub path: Option<&'t str>,
}

impl<'t> Target<'t> {
    /// Reads what [`Options::take_raw_target`](super::Options::take_raw_target) gives. User and password end at the last
    /// `@`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) for a user or a password that is not UTF-8.
    pub fn read(raw: &'t str) -> Result<Self> {
        let (user_info, rest) = raw.rsplit_once('@').unwrap_or(("", raw));
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let (servers, path) =
            rest.split_once('/').map_or((rest, None), |(servers, path)| (servers, Some(path)));
        Ok(Self { user: decoded(user)?, password: decoded(password)?, servers, path })
    }
}

/// Without its parts, each of which may hold a piece of a password.
impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

/// Percent-decodes a part of a URI; `None` when it is empty.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) when it is not UTF-8.
pub fn decoded(part: &str) -> Result<Option<String>> {
    let decoded = percent_decode_str(part)
        .decode_utf8()
        .map_err(|source| invalid("a percent-encoded part of the URI is not UTF-8").with_source(source))?;
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
}

/// The servers of a list with commas between them. Spaces around them, and empty ones, do not count.
pub fn split_list(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|server| !server.is_empty())
}

/// Reads `host`, `host:port`, `[::1]:port` or `::1`: the host without brackets, and the port, or `default_port` where none
/// is written. `None` for what is no server.
#[must_use]
pub fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = split_port(text);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    let is_host = !host.is_empty()
        && !host.contains(['[', ']', '/', ' ', '@'])
        && (!host.contains(':') || is_ipv6(host));
    (is_host && port != 0).then(|| (host.to_owned(), port))
}

/// A server as [`host_and_port`] reads it.
///
/// ```
/// use idem_core::config::servers::written;
///
/// assert_eq!([written("h1", 7000), written("::1", 7000)], ["h1:7000", "[::1]:7000"]);
/// ```
#[must_use]
pub fn written(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What an error may show of a text that is no server: neither what stands before an `@`, nor what stands in place of a
/// port.
///
/// ```
/// use idem_core::config::servers::without_password;
///
/// assert_eq!(["app:secret@h1", "app:secret", "h1:0"].map(without_password), ["...@h1", "app:...", "h1:0"]);
/// ```
#[must_use]
pub fn without_password(text: &str) -> String {
    if let Some((_, server)) = text.rsplit_once('@') {
        return format!("...@{server}");
    }
    match text.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.parse::<u16>().is_err() => format!("{host}:..."),
        _ => text.to_owned(),
    }
}

/// Deserializes servers that are written as a list, or as a text with commas between them.
///
/// # Errors
/// The deserializer's, with the message of the server that cannot be read.
pub fn list<'de, D, S>(deserializer: D) -> Result<Vec<S>, D::Error>
where
    D: Deserializer<'de>,
    S: FromStr<Err = Error>,
{
    struct Reader<S>(PhantomData<S>);
    impl<'de, S: FromStr<Err = Error>> Visitor<'de> for Reader<S> {
        type Value = Vec<S>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("servers, as a list or with commas between them")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<S>, E> {
            split_list(text)
                .map(str::parse)
                .collect::<Result<_>>()
                .map_err(|error| E::custom(error.message()))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<S>, A::Error> {
            let mut servers = Vec::new();
            while let Some(server) = list.next_element::<String>()? {
                servers.push(server.parse().map_err(|error: Error| A::Error::custom(error.message()))?);
            }
            Ok(servers)
        }
    }
    deserializer.deserialize_any(Reader(PhantomData))
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

/// Whether `host` is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}
