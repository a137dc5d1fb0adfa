//! Which configurations are refused.

use std::fmt;
use std::time::Duration;

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};

use crate::config::deployment::Deployment;
use crate::config::redis_config::RedisConfig;

impl RedisConfig {
    /// Refuses what cannot work, and values so large or small that their unit must be a mistake.
    pub(crate) fn check(&self) -> Result<()> {
        const HOUR: Duration = Duration::from_hours(1);
        const MILLI: Duration = Duration::from_millis(1);
        for (option, value) in [
            ("call_timeout", self.call_timeout),
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("ack_timeout", self.ack_timeout),
            ("check_interval", self.check_interval),
        ] {
            refuse_unless((MILLI..=HOUR).contains(&value), || {
                format!("{option} = {value:?} is outside 1 ms to 1 h")
            })?;
        }
        refuse_unless(self.ack_timeout < self.response_timeout, || {
            format!(
                "response_timeout = {:?} must be longer than ack_timeout = {:?}",
                self.response_timeout, self.ack_timeout
            )
        })?;
        // Redis limits one value to 512 MiB (`proto-max-bulk-len`); the record adds a few bytes.
        within("max_outcome", self.max_outcome, 511 << 20)?;
        within("connections", self.connections as u64, 64)?;
        refuse_unless(self.max_waiters <= 1 << 20, || {
            format!("max_waiters = {} is beyond 1048576", self.max_waiters)
        })?;
        refuse_unless(
            self.prefix.len() <= 255 && self.prefix.bytes().all(|byte| (0x21..0x7F).contains(&byte)),
            || {
                "prefix has more than 255 bytes, or other than printable ones of ASCII without spaces"
                    .to_owned()
            },
        )?;
        refuse_unless(!self.prefix.contains('{'), || {
            "prefix has a `{`, by which a cluster would keep all records in one slot".to_owned()
        })?;
        for (option, file) in [
            ("ca_file", &self.ca_file),
            ("client_cert_file", &self.client_cert_file),
            ("client_key_file", &self.client_key_file),
        ] {
            refuse_unless(file.is_none() || self.tls, || {
                format!("{option} says nothing without TLS: use a scheme with `rediss`")
            })?;
        }
        refuse_unless(self.client_cert_file.is_some() == self.client_key_file.is_some(), || {
            "client_cert_file and client_key_file belong together".to_owned()
        })?;
        let of_sentinels = self.sentinel_username.is_some() || self.sentinel_password.is_some();
        refuse_unless(!of_sentinels || matches!(self.deployment, Deployment::Sentinel { .. }), || {
            "sentinel_username and sentinel_password are for the scheme redis-sentinel".to_owned()
        })?;
        refuse_unless(cfg!(feature = "tls") || !self.tls, || {
            "TLS needs the cargo feature `tls` of idem-redis".to_owned()
        })?;
        self.check_servers()
    }

    fn check_servers(&self) -> Result<()> {
        refuse_unless(!self.servers.is_empty(), || {
            "no server is named: servers = \"127.0.0.1:6379\"".to_owned()
        })?;
        match &self.deployment {
            Deployment::Standalone => refuse_unless(self.servers.len() == 1, || {
                format!(
                    "{} servers are named where there is one; a cluster has the scheme redis-cluster, sentinels redis-sentinel",
                    self.servers.len()
                )
            }),
            Deployment::Cluster => {
                refuse_unless(self.database == 0, || "a cluster has no database but 0".to_owned())
            }
            Deployment::Sentinel { master_name } => refuse_unless(!master_name.is_empty(), || {
                "sentinels need the master's name: service = \"mymaster\"".to_owned()
            }),
        }
    }
}

fn within(option: &str, value: u64, max: u64) -> Result<()> {
    refuse_unless((1..=max).contains(&value), || format!("{option} = {value} is outside 1 to {max}"))
}

fn refuse_unless(is_valid: bool, message: impl FnOnce() -> String) -> Result<()> {
    if is_valid { Ok(()) } else { Err(invalid(message())) }
}

pub(crate) fn invalid(message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, format!("redis: {message}"))
}
