//! A connection of the store's own, which is replaced when it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio_postgres::{AsyncMessage, Client, Config};

use super::connector::{Connector, Opened};
use super::ownership::Ownership;
use super::prepared::Prepared;
use super::session::Session;
use crate::durability::Settings;
use crate::error::Failure;
use crate::sql::{self, Parameter, Row};

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
    login: Config,
    session: Session,
    /// Whether a commit was told not to wait for its standbys any longer: it stands on this server, and they may not have
    /// it. Recovery so may be all that is answered since.
    unconfirmed: Arc<AtomicBool>,
    /// None where the session is not this connection's own.
    prepared: Option<Prepared>,
    /// Whether something prepared was refused, for which another connection is to take its place.
    outdated: AtomicBool,
    /// How often a statement was not sent at once, but behind the answer to something else.
    detours: AtomicU64,
}

impl Link {
    /// Connects when it is used.
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, connection: Mutex::default() }
    }

    /// The connection, opened anew where there is none. Those who ask meanwhile wait for the same one.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| connection.is_usable()) {
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
        let Opened { client, session, ownership, login } = self.connector.connect(hear).await?;
        let prepared = (ownership == Ownership::Own).then(Prepared::default);
        let connection = Arc::new(Connection {
            client,
            login,
            session,
            unconfirmed,
            prepared,
            outdated: AtomicBool::new(false),
            detours: AtomicU64::new(0),
        });
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// The connection, where one is open and nobody is about to open one.
    pub(crate) fn opened(&self) -> Option<Arc<Connection>> {
        self.connection.try_lock().ok()?.clone().filter(|connection| connection.is_usable())
    }

    /// Gives up this connection: no statement is sent by it any more, and the server is asked to stop what it still does.
    pub(crate) async fn discard(&self, failed: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, failed)) {
            *slot = None;
        }
        drop(slot);
        if !failed.client.is_closed() {
            // Without it, each statement that waits for a lock or a standby would keep a connection of the server.
            let (connector, failed) = (self.connector.clone(), Arc::clone(failed));
            tokio::spawn(async move { connector.cancel(&failed.client, &failed.login).await });
        }
    }
}

impl Connection {
    /// Sends one statement. `text` is one of the code's own: in a session of its own the server prepares it once.
    pub(crate) async fn rows(&self, text: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        if let Some(prepared) = self.prepared.as_ref().filter(|_| !self.is_outdated()) {
            match prepared.rows(&self.client, text, parameters, &self.detours).await {
                // Nothing was done, and nothing depends on what was prepared.
                Err(refusal) if refusal.is_outdated() => {
                    tracing::debug!(?refusal, "the session is not what it was");
                    self.outdated.store(true, Ordering::Release);
                    self.detours.fetch_add(1, Ordering::AcqRel);
                }
                answered => return Ok(answered?),
            }
        }
        Ok(sql::of_tokio_postgres::rows(&self.client, text, parameters).await?)
    }

    /// The settings of its session.
    pub(crate) async fn settings(&self) -> Result<Settings, Failure> {
        Settings::of(&self.client).await
    }

    /// The answer to what was sent by this connection, once it is known that the commit was waited for as it should be.
    /// `writes`: whether there may have been one.
    ///
    /// # Errors
    /// Those of `sent`, and [`Reconnect`](crate::error::Recovery::Reconnect) or [`Resend`](crate::error::Recovery::Resend) for an
    /// answer that must not be believed.
    pub(crate) async fn confirmed<T>(
        &self,
        writes: bool,
        sent: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let answer =
            if writes { self.session.confirmed(&self.client, &self.detours, sent).await } else { sent.await };
        if answer.is_ok() && self.unconfirmed.load(Ordering::Acquire) {
            return Err(Failure::reconnect("a commit was not waited for until its standbys had it"));
        }
        if answer.is_ok() && self.session.is_over() {
            return Err(Failure::reconnect("the server was replaced by another one that was promoted"));
        }
        answer
    }

    /// Whether more statements may be sent by it.
    fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.is_outdated() && !self.session.is_over()
    }

    fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }
}
