//! The connections to one server. They are made when they are needed, and again when they have failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::address::Address;
use crate::connection::link::Link;
use crate::connection::single_flight::SingleFlight;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::topology::node::common::Common;
use crate::topology::node::server::Server;

/// How long to wait after a failed attempt to connect.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Node {
    pub(crate) server: Server,
    /// The connections for calls, and last the one for notifications.
    connections: Box<[SingleFlight<Arc<Link>>]>,
    next: AtomicUsize,
    /// Whether another server redirected here, and no view of the cluster shows this node yet.
    is_newcomer: AtomicBool,
    /// Whether the last attempt to connect failed.
    is_unreachable: AtomicBool,
}

impl Node {
    pub(crate) fn new(address: Address, common: Arc<Common>) -> Arc<Self> {
        let connections = (0..=common.connections.max(1))
            .map(|_| SingleFlight::new(common.connector.max_setup_time()))
            .collect();
        let next = AtomicUsize::new(0);
        let (is_newcomer, is_unreachable) = (AtomicBool::new(false), AtomicBool::new(false));
        let server = Server::new(address, common);
        Arc::new(Self { server, connections, next, is_newcomer, is_unreachable })
    }

    pub(crate) fn address(&self) -> &Address {
        self.server.address()
    }

    /// The number of the next connection for calls, round robin.
    pub(crate) fn next_connection(&self) -> usize {
        match self.call_connections() {
            1 => 0,
            connections => self.next.fetch_add(1, Ordering::Relaxed) % connections,
        }
    }

    /// Connection `number` for calls, if it is open and the server was found to have its data.
    pub(crate) fn open_link(&self, number: usize) -> Option<Arc<Link>> {
        self.open_connection(number).filter(|link| link.has_data())
    }

    /// As [`open_link`](Self::open_link), but connects if necessary. Connecting goes on when the future is dropped.
    pub(crate) async fn link(self: &Arc<Self>, number: usize) -> Result<Arc<Link>, AttemptError> {
        let link = self.connection(number).await?;
        if !link.has_data() {
            let seen = self.server.seen().ok_or_else(|| self.is_not_connected())?;
            self.server.check_data(&link, &seen).await?;
        }
        Ok(link)
    }

    /// A connection for queries only: the server may be a replica, have lost its data, or still be loading it.
    pub(crate) async fn query_link(self: &Arc<Self>) -> Result<Arc<Link>, AttemptError> {
        self.connection(self.next_connection()).await
    }

    /// The connection for notifications, made when a caller waits. Calls must not share it: servers bound the output buffers
    /// of subscribers, so a few large answers would make them close it (`client-output-buffer-limit pubsub`).
    pub(crate) async fn notifier(self: &Arc<Self>) -> Result<Arc<Link>, AttemptError> {
        self.connection(self.call_connections()).await
    }

    async fn connection(self: &Arc<Self>, number: usize) -> Result<Arc<Link>, AttemptError> {
        if let Some(open) = self.open_connection(number) {
            return Ok(open);
        }
        let make = || {
            let node = Arc::clone(self);
            async move {
                let connected = node.server.connect().await;
                node.log_connected(connected.as_ref().err());
                connected
            }
        };
        let connection = self.connections[number].get_or_make(|link| link.is_open(), PAUSE, make).await;
        connection.map_err(|error| error.unwrap_or_else(|| self.is_not_connected()))
    }

    /// Logs changes only: a server may be down for hours.
    fn log_connected(&self, error: Option<&AttemptError>) {
        let was_unreachable = self.is_unreachable.swap(error.is_some(), Ordering::AcqRel);
        match (was_unreachable, error) {
            (false, Some(error)) => {
                tracing::warn!(server = %self.address(), fault = ?error, "cannot connect");
            }
            (true, Some(error)) => {
                tracing::debug!(server = %self.address(), fault = ?error, "still cannot connect");
            }
            (true, None) => tracing::info!(server = %self.address(), "connected again"),
            (false, None) => {}
        }
    }

    fn is_not_connected(&self) -> AttemptError {
        AttemptError::Later(Cause::new(format!("{} is not connected", self.address())))
    }

    fn call_connections(&self) -> usize {
        self.connections.len() - 1
    }

    fn open_connection(&self, number: usize) -> Option<Arc<Link>> {
        self.connections[number].get().filter(|link| link.is_open())
    }

    pub(crate) fn is_newcomer(&self) -> bool {
        self.is_newcomer.load(Ordering::Acquire)
    }

    pub(crate) fn set_newcomer(&self, is_newcomer: bool) {
        self.is_newcomer.store(is_newcomer, Ordering::Release);
    }

    /// Closes all connections, and abandons those that are being made.
    pub(crate) fn close(&self) {
        self.connections.iter().filter_map(SingleFlight::reset).for_each(|link| link.close());
    }

    /// As [`close`](Self::close), and for a moment fails callers with `error`.
    pub(super) fn refuse(&self, error: &AttemptError) {
        self.connections
            .iter()
            .filter_map(|connection| connection.fail(error.clone()))
            .for_each(|link| link.close());
    }

    pub(super) fn links(&self) -> impl Iterator<Item = Arc<Link>> + '_ {
        self.connections.iter().filter_map(SingleFlight::get)
    }
}
