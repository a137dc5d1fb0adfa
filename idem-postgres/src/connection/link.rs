//! One connection that is replaced when it fails.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::connector::Connector;
use crate::error::Failure;

/// A connection for many statements at once, which the server carries out in their order.
#[derive(Debug)]
pub(crate) struct Link {
    connector: Connector,
    client: Mutex<Option<Arc<Client>>>,
}

impl Link {
    pub(crate) fn new(connector: Connector, client: Option<Client>) -> Self {
        Self { connector, client: Mutex::new(client.map(Arc::new)) }
    }

    /// The connection, opened anew where there is none. Those who ask meanwhile wait for the same one.
    pub(crate) async fn client(&self) -> Result<Arc<Client>, Failure> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        *slot = None;
        let client = Arc::new(self.connector.connect().await?);
        *slot = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Gives up this connection: no statement is sent by it any more.
    pub(crate) async fn discard(&self, failed: &Arc<Client>) {
        let mut slot = self.client.lock().await;
        if slot.as_ref().is_some_and(|client| Arc::ptr_eq(client, failed)) {
            *slot = None;
        }
    }
}
