//! Where a store sends its statements.

use std::sync::Arc;

#[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
use super::pool;
use super::{Connector, Listener, own};
use crate::durability::Settings;
use crate::error::Failure;
use crate::sql::{Parameter, Row};

/// Where the connections of a store come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// They are its own.
    Own(Connector),
    #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
    Pool(Arc<pool::Source>),
}

/// Has one connection at a time for statements that are carried out one after the other.
#[derive(Debug)]
pub(crate) enum Link {
    Own(own::Link),
    #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
    Pool(pool::Link),
}

/// A connection for some statements, which go together.
#[derive(Debug)]
pub(crate) enum Connection {
    Own(Arc<own::Connection>),
    #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
    Pool(Box<pool::Connection>),
}

impl Source {
    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::new(match self {
            Self::Own(connector) => Link::Own(own::Link::new(connector.clone())),
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(source) => Link::Pool(pool::Link::new(Arc::clone(source))),
        })
    }

    /// Nobody listens by a pool's connections, on which others would hear what is for this store.
    pub(crate) fn listener(&self) -> Listener {
        Listener::new(match self {
            Self::Own(connector) => Some(connector.clone()),
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(_) => None,
        })
    }

    /// Whether the connections are the store's own.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl Link {
    /// Statements of one kind that are worth sending before the first of them is answered. With two the server is at one
    /// while the answers to the other are given out and the next calls come.
    pub(crate) fn max_in_flight(&self) -> usize {
        match self {
            Self::Own(_) => 2,
            // The second one would wait for the connection, without the calls that come meanwhile.
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(_) => 1,
        }
    }

    /// A connection of the store's own, opened anew where there is none, or one of the pool, for which others of this link
    /// wait until it is dropped.
    ///
    /// # Errors
    /// Whatever it is, nothing was sent: never [`Reconnect`](crate::error::Recovery::Reconnect).
    pub(crate) async fn connection(&self) -> Result<Connection, Failure> {
        let connection = match self {
            Self::Own(link) => link.connection().await.map(Connection::Own),
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(link) => {
                link.connection().await.map(|connection| Connection::Pool(Box::new(connection)))
            }
        };
        connection.map_err(Failure::unsent)
    }

    /// The store's own connection, where one is open and nobody is about to open one.
    pub(crate) fn opened(&self) -> Option<Connection> {
        match self {
            Self::Own(link) => Some(Connection::Own(link.opened()?)),
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(_) => None,
        }
    }

    /// Gives up this connection: no statement is sent by it any more, and the server is asked to stop what it still does.
    pub(crate) async fn discard(&self, failed: &Connection) {
        match (self, failed) {
            (Self::Own(link), Connection::Own(failed)) => link.discard(failed).await,
            // It has given itself up.
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            _ => {}
        }
    }
}

impl Connection {
    /// Sends one statement. `text` is one of the code's own.
    pub(crate) async fn rows(&self, text: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Own(connection) => connection.rows(text, parameters).await,
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(connection) => connection.rows(text, parameters).await,
        }
    }

    /// The settings of its session.
    pub(crate) async fn settings(&self) -> Result<Settings, Failure> {
        match self {
            Self::Own(connection) => connection.settings().await,
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(connection) => connection.settings().await,
        }
    }

    /// The answer to what was sent by this connection, once it is known that the commit was waited for as it should be.
    /// `writes`: whether there may have been one. Of a pool's connections nothing can be known.
    ///
    /// # Errors
    /// Those of `sent`, and [`Reconnect`](crate::error::Recovery::Reconnect) or [`Resend`](crate::error::Recovery::Resend) for an
    /// answer that must not be believed.
    pub(crate) async fn confirmed<T>(
        &self,
        writes: bool,
        sent: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match self {
            Self::Own(connection) => connection.confirmed(writes, sent).await,
            #[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
            Self::Pool(_) => sent.await,
        }
    }
}
