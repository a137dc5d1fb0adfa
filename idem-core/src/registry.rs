//! Choosing a backend by configuration: a URI, or the same as a table of a configuration file.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Operation, Result, Store};

/// What a backend exports so that a [`Registry`] can open it.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// The URI schemes that it answers to.
    pub schemes: &'static [&'static str],
    /// The option that the part of a URI between scheme and `?` stands for: a path, or a list of servers.
    /// `None`: there is no such part.
    pub target: Option<&'static str>,
    /// Opens a store.
    pub open: fn(Options) -> Opening,
}

/// The future of a store being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>>> + Send>>;

/// The backends that an application can open, chosen by it and by nobody else: no global, no enum.
///
/// ```no_run
/// # use idem_core::{Driver, Registry, Result};
/// # async fn example(idem_redb_driver: Driver, idem_moka_driver: Driver) -> Result<()> {
/// let registry = Registry::new().with(idem_redb_driver).with(idem_moka_driver);
/// let store = registry.open("redb:./payments.idem?check_integrity=true").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    drivers: Vec<Driver>,
}

impl Registry {
    /// Knows no backend yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend. One added later wins where schemes are equal.
    #[must_use]
    pub fn with(mut self, driver: Driver) -> Self {
        self.drivers.push(driver);
        self
    }

    /// Opens the store that `config` names: a URI, or a [`StoreConfig`] read from a file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for an unknown scheme or option or a bad value, naming what is known;
    /// and those of the backend.
    ///
    /// # Cancel safety
    /// A dropped future may leave an opened store to be closed in the background.
    pub async fn open(&self, config: impl Into<StoreConfig>) -> Result<Arc<dyn Store>> {
        let (scheme, source) = config.into().split()?;
        let found = self.drivers.iter().rev().find_map(|driver| {
            let own = driver.schemes.iter().find(|own| own.eq_ignore_ascii_case(&scheme))?;
            Some((driver, *own))
        });
        let Some((driver, scheme)) = found else { return Err(self.unknown(&scheme)) };
        let options = Options::new(scheme, source, driver.target)?;
        (driver.open)(options).await
    }

    fn unknown(&self, scheme: &str) -> Error {
        let known: Vec<_> = self.drivers.iter().flat_map(|driver| driver.schemes).copied().collect();
        let known = match known.join(", ") {
            none if none.is_empty() => "no backend is registered".to_owned(),
            known => format!("known are: {known}"),
        };
        invalid(format!("unknown store {scheme:?}; {known}"))
    }
}

/// Which store to open: a URI such as `redb:./payments.idem?check_integrity=true`, or a table with the key
/// `store` (the URI's scheme) and the backend's options.
///
/// ```
/// # #[derive(serde::Deserialize)]
/// struct Application {
///     idempotency: idem_core::StoreConfig,
/// }
/// let by_uri: Application = toml::from_str(r#"idempotency = "redb:./payments.idem?check_integrity=true""#)?;
/// let by_table: Application = toml::from_str(
///     r#"
///     [idempotency]
///     store = "redb"
///     path = "./payments.idem"
///     check_integrity = true
///     "#,
/// )?;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a store is a URI such as \"redb:./file\", or a table with the key `store`")]
pub enum StoreConfig {
    /// A URI.
    Uri(String),
    /// The same as a table.
    Table(Map<String, Value>),
}

impl StoreConfig {
    fn split(self) -> Result<(String, Source)> {
        match self {
            Self::Uri(uri) => {
                let Some((scheme, rest)) = uri.split_once(':') else {
                    return Err(invalid(format!(
                        "{uri:?} is no store URI, it has no scheme (\"redb:./file\")"
                    )));
                };
                let (target, query) = rest.split_once('?').unwrap_or((rest, ""));
                let target = target.strip_prefix("//").unwrap_or(target);
                let source = Source::Uri { target: target.to_owned(), query: query.to_owned() };
                Ok((scheme.to_owned(), source))
            }
            Self::Table(mut table) => match table.remove("store") {
                Some(Value::String(scheme)) => Ok((scheme, Source::Table(table))),
                _ => {
                    Err(invalid("a store's table needs the key `store`, such as store = \"redb\"".to_owned()))
                }
            },
        }
    }
}

/// Without the options: they may hold a password.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").finish_non_exhaustive()
    }
}

impl From<&str> for StoreConfig {
    fn from(uri: &str) -> Self {
        Self::Uri(uri.to_owned())
    }
}

impl From<String> for StoreConfig {
    fn from(uri: String) -> Self {
        Self::Uri(uri)
    }
}

impl From<&String> for StoreConfig {
    fn from(uri: &String) -> Self {
        Self::Uri(uri.clone())
    }
}

enum Source {
    Uri { target: String, query: String },
    Table(Map<String, Value>),
}

/// The options of one store, for its driver to read.
pub struct Options {
    scheme: &'static str,
    read: Read,
}

enum Read {
    /// Pairs as in a URI's query: every value is text, and is read as what the option's type asks for.
    Query(String),
    Table(Map<String, Value>),
}

impl Options {
    fn new(scheme: &'static str, source: Source, target_option: Option<&str>) -> Result<Self> {
        let read = match source {
            Source::Table(table) => Read::Table(table),
            Source::Uri { target, query } => match target_option {
                _ if target.is_empty() => Read::Query(query),
                Some(option) => Read::Query(join_target(option, &target, &query)?),
                // Without the target: it may hold a password.
                None => {
                    return Err(invalid(format!(
                        "{scheme}: takes options only (\"{scheme}:?name=value\"), no path and no server"
                    )));
                }
            },
        };
        Ok(Self { scheme, read })
    }

    /// The scheme that was asked for, one of the driver's.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.scheme
    }

    /// Reads the options as a backend's configuration, whose type says what is known
    /// (`#[serde(deny_unknown_fields)]`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] that names the option.
    pub fn read<T: DeserializeOwned>(self) -> Result<T> {
        let read = match self.read {
            Read::Query(query) => {
                let pairs = form_urlencoded::parse(query.as_bytes());
                named(serde_urlencoded::Deserializer::new(pairs))
            }
            Read::Table(table) => named(Value::Object(table)),
        };
        read.map_err(|message| invalid(format!("{}: {message}", self.scheme)))
    }
}

/// Reads a value; a message about a part of it begins with the part's name.
fn named<'de, T, D>(deserializer: D) -> Result<T, String>
where
    T: DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| error.to_string())
}

/// Without the options: they may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Puts a URI's target among its options, under the name that the driver gives it.
fn join_target(option: &str, target: &str, query: &str) -> Result<String> {
    let target = percent_decode_str(target)
        .decode_utf8()
        .map_err(|source| invalid("the URI's target is not UTF-8".to_owned()).with_source(source))?;
    let target = serde_urlencoded::to_string([(option, target)])
        .map_err(|source| invalid("the URI's target cannot be read".to_owned()).with_source(source))?;
    Ok(if query.is_empty() { target } else { format!("{target}&{query}") })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}
