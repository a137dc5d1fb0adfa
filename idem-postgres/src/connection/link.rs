//! One connection that is replaced when it fails.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use tokio_postgres::{AsyncMessage, Client};

use super::connector::Connector;
use crate::error::Failure;

/// The function of the server in which a commit waits for its standbys. Unlike messages its name is never translated.
const WAIT_FOR_STANDBYS: &str = "SyncRepWaitForLSN";

/// A connection for many statements at once, which the server carries out in their order.
#[derive(Debug)]
pub(crate) struct Link {
    connector: Connector,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    unconfirmed: Arc<AtomicBool>,
}

impl Link {
    /// Connects when it is used.
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, connection: Mutex::default() }
    }

    /// The connection, opened anew where there is none. Those who ask meanwhile wait for the same one.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        *slot = None;
        let unconfirmed = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&unconfirmed);
        let hear = move |message| {
            let AsyncMessage::Notice(notice) = message else { return };
            if notice.routine() == Some(WAIT_FOR_STANDBYS) {
                noted.store(true, Ordering::Release);
            }
            tracing::debug!(%notice, "the server says");
        };
        let connection = Arc::new(Connection { client: self.connector.connect(hear).await?, unconfirmed });
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Gives up this connection: no statement is sent by it any more, and the server is asked to stop what it still does.
    pub(crate) async fn discard(&self, failed: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, failed)) {
            *slot = None;
        }
        drop(slot);
        if !failed.is_closed() {
            // Without it, each statement that waits for a lock or a standby would keep a connection of the server.
            let (connector, failed) = (self.connector.clone(), Arc::clone(failed));
            tokio::spawn(async move { connector.cancel(&failed).await });
        }
    }
}

impl Connection {
    /// Whether a commit of this connection was told not to wait for its standbys any longer: it stands on this server, and
    /// they may not have it. Then so may be all that is answered since.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.load(Ordering::Acquire)
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
