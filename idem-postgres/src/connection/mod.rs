//! Connections, and the queues of calls that share them.

mod cancel;
mod connector;
mod link;
mod listener;
mod own;
mod ownership;
#[cfg(any(feature = "deadpool-postgres", feature = "sqlx"))]
pub(crate) mod pool;
mod prepared;
mod queue;
mod refusal;
mod session;
mod timelines;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use connector::{Connector, Opened};
pub(crate) use link::{Connection, Link, Source};
pub(crate) use listener::Listener;
pub(crate) use ownership::Ownership;
pub(crate) use queue::{Lanes, Queue};
