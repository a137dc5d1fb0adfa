//! Connecting to the one of several servers that takes writes.

use std::sync::Arc;

use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::config::postgres_config::PostgresConfig;
use crate::error::Failure;

/// Opens connections.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Arc<Config>);

impl Connector {
    pub(crate) fn new(config: &PostgresConfig) -> Self {
        let mut connect = Config::new();
        for server in &config.servers {
            connect.host(&server.host).port(server.port);
        }
        connect
            .user(&config.user)
            .dbname(config.database.as_ref().unwrap_or(&config.user))
            .application_name("idem")
            .ssl_mode(SslMode::Disable)
            .connect_timeout(config.connect_timeout)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        if let Some(password) = &config.password {
            connect.password(password);
        }
        Self(Arc::new(connect))
    }

    /// A connection of its own. It ends when the client is dropped.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let (client, mut connection) = self.0.connect(NoTls).await?;
        tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|context| connection.poll_message(context)).await {
                    None => break,
                    Some(Ok(AsyncMessage::Notice(notice))) => tracing::debug!(%notice, "the server says"),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a connection has ended");
                        break;
                    }
                }
            }
        });
        Ok(client)
    }
}
