//! Reading a configuration from a URI's or a table's options.

use std::time::Duration;

use idem_core::Result;
use idem_core::config::{Options, units};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};

use super::address::Address;
use super::postgres_config::PostgresConfig;
use crate::error::invalid;

/// The options as written. A missing one keeps [`PostgresConfig`]'s default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOptions {
    servers: Option<String>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    schema: Option<String>,
    migrate: Option<bool>,
    #[serde(default, deserialize_with = "some_duration")]
    call_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "some_duration")]
    connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "some_duration")]
    response_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "some_bytes")]
    max_outcome: Option<u64>,
    sweep: Option<bool>,
    #[serde(default, deserialize_with = "some_duration")]
    sweep_interval: Option<Duration>,
}

pub(crate) fn read(mut options: Options) -> Result<PostgresConfig> {
    let target = options.take_raw_target();
    let written: RawOptions = options.read()?;
    let target = target.as_deref().unwrap_or_default();
    let (user_info, rest) = target.rsplit_once('@').map_or((None, target), |(info, rest)| (Some(info), rest));
    let (user, password) = user_info.map_or(("", ""), |info| info.split_once(':').unwrap_or((info, "")));
    let (servers, database) = rest.split_once('/').unwrap_or((rest, ""));
    if !servers.is_empty() && written.servers.is_some() {
        return Err(invalid("servers are named both before and after the `?`"));
    }
    let servers = written.servers.as_deref().unwrap_or(servers);
    let servers =
        servers.split(',').map(str::trim).filter(|server| !server.is_empty()).map(str::parse::<Address>);
    let user = written.user.map_or_else(|| decoded(user), |user| Ok(Some(user)))?;
    let mut config = PostgresConfig::new(servers.collect::<Result<Vec<_>>>()?, user.unwrap_or_default());
    config.password = written.password.map_or_else(|| decoded(password), |password| Ok(Some(password)))?;
    config.database = written.database.map_or_else(|| decoded(database), |database| Ok(Some(database)))?;
    set(&mut config.schema, written.schema);
    set(&mut config.migrate, written.migrate);
    set(&mut config.call_timeout, written.call_timeout);
    set(&mut config.connect_timeout, written.connect_timeout);
    set(&mut config.response_timeout, written.response_timeout);
    set(&mut config.max_outcome, written.max_outcome);
    set(&mut config.sweep, written.sweep);
    set(&mut config.sweep_interval, written.sweep_interval);
    Ok(config)
}

fn set<T>(field: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *field = written;
    }
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    units::duration(deserializer).map(Some)
}

fn some_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    units::bytes(deserializer).map(Some)
}

/// Percent-decoded; `None` when empty. The error does not show the text, which may be a password.
fn decoded(text: &str) -> Result<Option<String>> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|source| invalid("a percent-encoded part of the URI is not UTF-8").with_source(source))?;
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
}
