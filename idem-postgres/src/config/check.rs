//! What a configuration must be.

use std::time::Duration;

use idem_core::Result;

use super::postgres_config::PostgresConfig;
use crate::error::invalid;

/// The longest outcome: a row holds 1 GiB at most, and a batch is held in memory.
const LARGEST_OUTCOME: u64 = 256 << 20;
/// PostgreSQL cuts longer names.
const LONGEST_NAME: usize = 63;

impl PostgresConfig {
    pub(crate) fn check(&self) -> Result<()> {
        if self.servers.is_empty() {
            return Err(invalid("servers: none is named"));
        }
        if self.user.is_empty() {
            return Err(invalid("user: none is named"));
        }
        // It is written into SQL, so it holds nothing that must be quoted.
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
}
