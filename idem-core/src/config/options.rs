use std::fmt;

use percent_encoding::percent_decode_str;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::mask::{Secrets, is_secret};
use crate::error::{Error, ErrorKind, Operation, Result};

/// The options of one store, for its driver to read.
pub struct Options {
    scheme: &'static str,
    target_option: Option<&'static str>,
    source: Source,
}

/// What a store's configuration holds beside its scheme.
pub(super) enum Source {
    /// Every value of the query is text, which is read as the option's type.
    Uri {
        target: String,
        query: String,
    },
    Table(Map<String, Value>),
}

impl Options {
    pub(super) fn new(
        scheme: &'static str,
        source: Source,
        target_option: Option<&'static str>,
    ) -> Result<Self> {
        match &source {
            // Without the target: it may hold a password.
            Source::Uri { target, .. } if target_option.is_none() && !target.is_empty() => Err(invalid(
                format!("{scheme}: takes options only (\"{scheme}:?name=value\"), no path and no server"),
            )),
            Source::Uri { .. } | Source::Table(_) => Ok(Self { scheme, target_option, source }),
        }
    }

    /// The scheme that was asked for, one of the driver's.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.scheme
    }

    /// The URI's target as it was written: all between the scheme's colon and the `?`, not percent-decoded, and
    /// without a `//` at its beginning. `None` when there is none, and for a table.
    ///
    /// Of `redis://user:p%40ss@h1:7000,h2:7001/0?acks=1` it is `user:p%40ss@h1:7000,h2:7001/0`. It may hold a
    /// password: [`masked`](crate::config::masked) shows it without.
    #[must_use]
    pub fn raw_target(&self) -> Option<&str> {
        match &self.source {
            Source::Uri { target, .. } if !target.is_empty() => Some(target),
            Source::Uri { .. } | Source::Table(_) => None,
        }
    }

    /// Takes the [`raw_target`](Options::raw_target) out of the options: [`read`](Options::read) then finds nothing
    /// under the driver's target option, unless the query has it, which the driver should refuse.
    #[must_use]
    pub fn take_raw_target(&mut self) -> Option<String> {
        match &mut self.source {
            Source::Uri { target, .. } if !target.is_empty() => Some(std::mem::take(target)),
            Source::Uri { .. } | Source::Table(_) => None,
        }
    }

    /// Reads the options as a backend's configuration, whose type says what is known
    /// (`#[serde(deny_unknown_fields)]`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) that names the option. It shows neither the
    /// value of an option whose name says `password` or `secret`, nor the user and password of a URI.
    pub fn read<T: DeserializeOwned>(self) -> Result<T> {
        let read = match self.source {
            Source::Table(table) => {
                let secrets = Secrets::of_table(&table);
                named(Value::Object(table), &secrets, |_| None)
            }
            Source::Uri { target, query } => {
                let secrets = Secrets::of_uri(&target, &query);
                let query = match self.target_option {
                    Some(option) if !target.is_empty() => join_target(option, &target, &query)?,
                    _ => query,
                };
                let pairs = form_urlencoded::parse(query.as_bytes());
                let value = |option: &str| {
                    let (_, value) = pairs.clone().find(|(name, _)| name == option)?;
                    Some(value.into_owned())
                };
                named(serde_urlencoded::Deserializer::new(pairs), &secrets, value)
            }
        };
        read.map_err(|message| invalid(format!("{}: {message}", self.scheme)))
    }
}

/// Sets a field of a configuration where its option was written.
pub fn set<T>(field: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *field = written;
    }
}

/// Without the options: they may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Reads a value. A message about a part of the value begins with the name of the part, and with its text for those
/// deserializers that do not show it.
fn named<'de, T, D>(
    deserializer: D,
    secrets: &Secrets,
    value: impl Fn(&str) -> Option<String>,
) -> Result<T, String>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|mistake| {
        let secret = mistake.path().iter().find_map(|segment| match segment {
            Segment::Map { key } if is_secret(key) => Some(key),
            _ => None,
        });
        if let Some(option) = secret {
            return format!("{option}: its value cannot be read, and is not shown");
        }
        let option = mistake.path().to_string();
        let message = match value(&option) {
            Some(value) if !mistake.inner().to_string().contains(&value) => {
                format!("{option}: {value:?}: {}", mistake.inner())
            }
            _ => mistake.to_string(),
        };
        secrets.hide(message)
    })
}

/// Puts a URI's target among its options, under the name that the driver gives it.
fn join_target(option: &str, target: &str, query: &str) -> Result<String> {
    let target = percent_decode_str(target)
        .decode_utf8()
        .map_err(|source| invalid("the URI's target is not UTF-8").with_source(source))?;
    let target = serde_urlencoded::to_string([(option, target)])
        .map_err(|source| invalid("the URI's target cannot be read").with_source(source))?;
    Ok(if query.is_empty() { target } else { format!("{target}&{query}") })
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}
