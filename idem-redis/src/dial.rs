//! How connections are made: what of the configuration a single connection needs.

use std::time::Duration;

use idem_core::Result;

use crate::{Deployment, RedisConfig};

pub(crate) struct Dial {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u8,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<fred::types::config::TlsConfig>,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    /// Whether one script may have many keys: whether one server has all slots.
    pub(crate) together: bool,
}

impl Dial {
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "certificates are read with TLS")
    )]
    pub(crate) fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self {
            username: config.username.clone(),
            password: config.password.clone(),
            database: config.database,
            #[cfg(feature = "tls")]
            tls: crate::tls::config(config)?,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            ack_timeout: config.ack_timeout,
            together: config.deployment != Deployment::Cluster,
        })
    }

    /// For sentinels, which have no databases and their own users.
    pub(crate) fn without_user(&self) -> Self {
        Self {
            username: None,
            password: None,
            database: 0,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            ..*self
        }
    }
}
