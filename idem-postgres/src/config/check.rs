//! What a configuration must be.

use std::time::Duration;

use idem_core::Result;

use super::postgres_config::PostgresConfig;
use super::ssl_mode::SslMode;
use crate::error::invalid;

/// The longest outcome: a row holds 1 GiB at most, and a batch is held in memory.
const LARGEST_OUTCOME: u64 = 256 << 20;
/// PostgreSQL cuts longer names.
const LONGEST_NAME: usize = 63;

impl PostgresConfig {
    /// For a store with connections of its own.
    pub(crate) fn check(&self) -> Result<()> {
        if self.servers.is_empty() {
            return Err(invalid("servers: none is named"));
        }
        if self.user.is_empty() {
            return Err(invalid("user: none is named: \"postgres://user@host\""));
        }
        self.check_store()?;
        self.check_tls()
    }

    /// For a store on a pool of the application.
    #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
    pub(crate) fn check_for_pool(&self) -> Result<()> {
        let said = [
            ("servers", !self.servers.is_empty()),
            ("user", !self.user.is_empty()),
            ("password", self.password.is_some()),
            ("database", self.database.is_some()),
            ("sslmode", self.sslmode.is_some()),
            ("sslrootcert", self.sslrootcert.is_some()),
            ("sslcert", self.sslcert.is_some()),
            ("sslkey", self.sslkey.is_some()),
        ];
        if let Some((option, _)) = said.into_iter().find(|(_, is_said)| *is_said) {
            return Err(invalid(format!("{option}: the pool says how to connect")));
        }
        if self.acks > 0 {
            return Err(invalid(
                "acks: on a pool it is not heard when a commit stops waiting for its standbys; open the store with \
                 connections of its own",
            ));
        }
        self.check_store()
    }

    /// What is not about connecting.
    fn check_store(&self) -> Result<()> {
        // It is written into SQL, between quotation marks.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = self.schema.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        if !begins || !self.schema.bytes().all(plain) || self.schema.len() > LONGEST_NAME {
            let schema = &self.schema;
            return Err(invalid(format!(
                "schema: {schema:?} is no name of 1 to {LONGEST_NAME} of a-z, 0-9 and _, the first no digit"
            )));
        }
        if self.max_outcome > LARGEST_OUTCOME {
            return Err(invalid(format!("max_outcome: more than {LARGEST_OUTCOME} bytes")));
        }
        let times = [
            ("call_timeout", self.call_timeout),
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("sweep_interval", self.sweep_interval),
        ];
        for (name, time) in times {
            if !(Duration::from_millis(1)..=Duration::from_hours(1)).contains(&time) {
                return Err(invalid(format!("{name}: {time:?} is outside 1 ms to 1 h")));
            }
        }
        Ok(())
    }

    /// Nobody shall believe that a connection is protected when it is not.
    fn check_tls(&self) -> Result<()> {
        let mode = self.sslmode_of_tls();
        let files =
            [("sslrootcert", &self.sslrootcert), ("sslcert", &self.sslcert), ("sslkey", &self.sslkey)];
        let named = files.iter().find(|(_, file)| file.is_some());
        if let (None, Some((option, _))) = (mode, named) {
            return Err(invalid(format!("{option} says nothing without TLS: use sslmode=verify-full")));
        }
        if self.sslcert.is_some() != self.sslkey.is_some() {
            return Err(invalid("sslcert and sslkey belong together"));
        }
        let wrong = match mode {
            Some(SslMode::Prefer) if self.sslrootcert.is_some() => {
                "sslrootcert says nothing with sslmode=prefer, which verifies nothing: use sslmode=verify-full"
            }
            Some(SslMode::VerifyCa) if self.sslrootcert.is_none() => {
                "sslmode=verify-ca needs sslrootcert: an authority of the system signs for everybody"
            }
            Some(SslMode::Require) if self.password.is_none() => {
                "sslmode=require needs a password, by which the server proves itself, or sslrootcert: else use \
                 sslmode=verify-full"
            }
            Some(mode) if !cfg!(feature = "tls") && mode != SslMode::Prefer => {
                "TLS, which is the default for servers that are not on this machine, needs the cargo feature `tls` of \
                 idem-postgres; sslmode=disable does without"
            }
            _ => return Ok(()),
        };
        Err(invalid(wrong))
    }
}
