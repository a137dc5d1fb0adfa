use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::mask::masked;
use super::options::{Source, invalid};
use crate::error::Result;

/// Which store to open: a URI such as `redb:./payments.idem?check_integrity=true`, or a table with the key
/// `store` (the URI's scheme) and the backend's options.
///
/// A URI is `scheme:target?name=value&name=value`; a `//` before the target is no part of it. Inside the target,
/// `?` and `%` are written `%3F` and `%25`.
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
    pub(super) fn split(self) -> Result<(String, Source)> {
        match self {
            Self::Uri(uri) => {
                let Some((scheme, rest)) = uri.split_once(':') else {
                    let uri = masked(&uri);
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
                Some(Value::String(uri)) if uri.contains(':') => {
                    let uri = masked(&uri);
                    Err(invalid(format!(
                        "store = {uri:?} is a URI: give it alone in place of the table, or name the scheme alone, \
                         such as store = \"redb\""
                    )))
                }
                Some(Value::String(scheme)) => Ok((scheme, Source::Table(table))),
                _ => Err(invalid("a store's table needs the key `store`, such as store = \"redb\"")),
            },
        }
    }
}

/// Which store it is, without its options and without the user and password before an `@`.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match self {
            Self::Uri(uri) => masked(uri),
            Self::Table(table) => table.get("store").and_then(Value::as_str).map_or_else(String::new, masked),
        };
        f.debug_struct("StoreConfig").field("store", &store).finish_non_exhaustive()
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
