//! Reads a configuration from the options of a URI or a table.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use idem_core::Result;
use idem_core::config::{Options, servers, set, units};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use crate::config::acks::Acks;
use crate::config::address::{Address, Target};
use crate::config::check::invalid;
use crate::config::deployment::Deployment;
use crate::config::redis_config::RedisConfig;

/// The options as written. Where an option is missing, the default of [`RedisConfig`] stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOptions {
    #[serde(default, deserialize_with = "servers::list")]
    servers: Vec<Address>,
    service: Option<String>,
    username: Option<String>,
    password: Option<String>,
    database: Option<u8>,
    ca_file: Option<PathBuf>,
    client_cert_file: Option<PathBuf>,
    client_key_file: Option<PathBuf>,
    prefix: Option<String>,
    #[serde(default, deserialize_with = "acks")]
    acks: Option<Acks>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
    confirm_replays: Option<bool>,
    allow_eviction: Option<bool>,
    #[serde(default, deserialize_with = "units::some_duration")]
    call_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_duration")]
    connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_duration")]
    response_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_duration")]
    ack_timeout: Option<Duration>,
    connections: Option<usize>,
    #[serde(default, deserialize_with = "units::some_bytes")]
    max_outcome: Option<u64>,
    max_waiters: Option<usize>,
    #[serde(default, deserialize_with = "units::some_duration")]
    check_interval: Option<Duration>,
}

pub(crate) fn read(mut options: Options) -> Result<RedisConfig> {
    let scheme = options.scheme().to_owned();
    let target = options.take_raw_target().map(|raw| Target::read(&raw)).transpose()?;
    let written: RawOptions = options.read()?;
    if target.is_some() && !written.servers.is_empty() {
        return Err(invalid("servers are named both before and after the `?`"));
    }
    let target = target.unwrap_or_default();
    let servers = if written.servers.is_empty() { target.servers } else { written.servers };
    let sentinels = scheme.ends_with("-sentinel");
    if written.service.is_some() && !sentinels {
        return Err(invalid(format!("service is for the scheme redis-sentinel, not for {scheme}")));
    }
    let mut config = match &*scheme {
        "redis-cluster" | "rediss-cluster" => RedisConfig::cluster(servers),
        _ if sentinels => RedisConfig::sentinel(written.service.unwrap_or_default(), servers),
        _ => RedisConfig::new(Deployment::Standalone, servers),
    };
    if scheme == "redis+unix" && !config.servers.iter().all(|server| matches!(server, Address::Unix(_))) {
        return Err(invalid("redis+unix takes the path of a socket (\"redis+unix:/run/redis.sock\")"));
    }

    config.tls = scheme.starts_with("rediss");
    config.username = written.username.or(target.username);
    config.password = written.password.or(target.password);
    config.acks = written.acks;
    config.ca_file = written.ca_file;
    config.client_cert_file = written.client_cert_file;
    config.client_key_file = written.client_key_file;
    config.sentinel_username = written.sentinel_username;
    config.sentinel_password = written.sentinel_password;
    set(&mut config.database, written.database.or(target.database));
    set(&mut config.prefix, written.prefix);
    set(&mut config.confirm_replays, written.confirm_replays);
    set(&mut config.allow_eviction, written.allow_eviction);
    set(&mut config.call_timeout, written.call_timeout);
    set(&mut config.connect_timeout, written.connect_timeout);
    set(&mut config.response_timeout, written.response_timeout);
    set(&mut config.ack_timeout, written.ack_timeout);
    set(&mut config.connections, written.connections);
    set(&mut config.max_outcome, written.max_outcome);
    set(&mut config.max_waiters, written.max_waiters);
    set(&mut config.check_interval, written.check_interval);
    Ok(config)
}

fn acks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Acks>, D::Error> {
    struct Reader;
    impl Visitor<'_> for Reader {
        type Value = Acks;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("\"all\", \"disk\" or a number of replicas")
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Acks, E> {
            u8::try_from(number)
                .map(Acks::Count)
                .map_err(|_| E::custom(format!("{number} replicas are too many")))
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Acks, E> {
            u8::try_from(number)
                .map(Acks::Count)
                .map_err(|_| E::custom(format!("{number} is no number of replicas")))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Acks, E> {
            match text {
                "all" => Ok(Acks::All),
                "disk" => Ok(Acks::Disk),
                _ => text.parse().map(Acks::Count).map_err(|_| {
                    E::custom(format!("{text:?} is neither \"all\", \"disk\" nor a number of replicas"))
                }),
            }
        }
    }
    deserializer.deserialize_any(Reader).map(Some)
}
