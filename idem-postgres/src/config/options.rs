//! Reading a configuration from a URI's or a table's options.

use std::path::PathBuf;
use std::time::Duration;

use idem_core::Result;
use idem_core::config::servers::{self, Target, decoded, split_list};
use idem_core::config::{Options, set, units};
use serde::Deserialize;

use super::address::{Address, DEFAULT_PORT};
use super::postgres_config::PostgresConfig;
use super::ssl_mode::SslMode;
use crate::error::invalid;

/// The `sslrootcert` that stands for the authorities of the system, as in `libpq`.
const SYSTEM: &str = "system";

/// The options as written. A missing one keeps [`PostgresConfig`]'s default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOptions {
    #[serde(default, deserialize_with = "servers::list")]
    servers: Vec<Address>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    #[serde(alias = "dbname")]
    database: Option<String>,
    sslmode: Option<SslMode>,
    #[serde(alias = "ca_file")]
    sslrootcert: Option<PathBuf>,
    #[serde(alias = "client_cert_file")]
    sslcert: Option<PathBuf>,
    #[serde(alias = "client_key_file")]
    sslkey: Option<PathBuf>,
    schema: Option<String>,
    migrate: Option<bool>,
    acks: Option<u8>,
    #[serde(default, deserialize_with = "units::some_duration")]
    call_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_duration")]
    connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_duration")]
    response_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_bytes")]
    max_outcome: Option<u64>,
    sweep: Option<bool>,
    #[serde(default, deserialize_with = "units::some_duration")]
    sweep_interval: Option<Duration>,
}

pub(crate) fn read(mut options: Options) -> Result<PostgresConfig> {
    let raw = options.take_raw_target().unwrap_or_default();
    let target = Target::read(&raw)?;
    let mut written: RawOptions = options.read()?;
    let servers = read_servers(&target, &mut written)?;
    let mut config = PostgresConfig::new(servers, written.user.or(target.user).unwrap_or_default());
    config.password = written.password.or(target.password);
    config.database = match written.database {
        Some(database) => Some(database),
        None => decoded(target.path.unwrap_or_default())?,
    };
    (config.sslmode, config.sslrootcert) = read_authorities(written.sslmode, written.sslrootcert)?;
    config.sslcert = written.sslcert;
    config.sslkey = written.sslkey;
    set(&mut config.schema, written.schema);
    set(&mut config.migrate, written.migrate);
    set(&mut config.acks, written.acks);
    set(&mut config.call_timeout, written.call_timeout);
    set(&mut config.connect_timeout, written.connect_timeout);
    set(&mut config.response_timeout, written.response_timeout);
    set(&mut config.max_outcome, written.max_outcome);
    set(&mut config.sweep, written.sweep);
    set(&mut config.sweep_interval, written.sweep_interval);
    Ok(config)
}

/// The servers, from the one place where they are named: before the `?`, in `servers`, or in `host` as `libpq` has it.
fn read_servers(target: &Target<'_>, written: &mut RawOptions) -> Result<Vec<Address>> {
    let places = [!target.servers.is_empty(), !written.servers.is_empty(), written.host.is_some()];
    if places.into_iter().filter(|is_named| *is_named).count() > 1 {
        return Err(invalid(
            "servers are named twice: before the `?`, in `servers` and in `host` stand the same",
        ));
    }
    if let Some(hosts) = &written.host {
        let port = written.port.unwrap_or(DEFAULT_PORT);
        return split_list(hosts).map(|host| Address::of(host, port)).collect();
    }
    if written.port.is_some() {
        return Err(invalid(
            "port goes with `host`; of other servers it stands behind the name: \"host:5433\"",
        ));
    }
    if target.servers.is_empty() {
        return Ok(std::mem::take(&mut written.servers));
    }
    split_list(target.servers).map(|server| decoded(server)?.unwrap_or_default().parse()).collect()
}

fn read_authorities(
    sslmode: Option<SslMode>,
    sslrootcert: Option<PathBuf>,
) -> Result<(Option<SslMode>, Option<PathBuf>)> {
    match (sslmode, sslrootcert) {
        (None | Some(SslMode::VerifyFull), Some(file)) if file.as_os_str() == SYSTEM => {
            Ok((Some(SslMode::VerifyFull), None))
        }
        (_, Some(file)) if file.as_os_str() == SYSTEM => {
            Err(invalid("sslrootcert=system goes with sslmode=verify-full alone"))
        }
        read => Ok(read),
    }
}
