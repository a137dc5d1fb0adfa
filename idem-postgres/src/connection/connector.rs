//! Connecting to the one of several servers that takes writes.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::time::timeout;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::config::postgres_config::PostgresConfig;
use crate::error::{Failure, chain};

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

    /// A connection of its own, which ends when the client is dropped. `hear` gets what the server says unasked, before
    /// any answer that came after it.
    pub(crate) async fn connect(
        &self,
        mut hear: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Client, Failure> {
        let (client, mut connection) = self.0.connect(NoTls).await?;
        tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    None => break,
                    Some(Ok(message)) => hear(message),
                    Some(Err(error)) => {
                        tracing::debug!(error = chain(&error), "a connection has ended");
                        break;
                    }
                }
            }
        });
        Ok(client)
    }

    /// Asks the server to stop what it does for `client`, as best it can.
    pub(crate) async fn cancel(&self, client: &Client) {
        let limit = self.0.get_connect_timeout().copied().unwrap_or_default();
        let cancelled = timeout(limit, client.cancel_token().cancel_query(NoTls)).await;
        tracing::debug!(?cancelled, "a statement was given up");
    }
}
