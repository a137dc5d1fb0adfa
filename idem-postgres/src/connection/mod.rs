//! Connections, and the queues of calls that share them.

mod cancel;
mod connector;
mod link;
mod listener;
mod ownership;
mod prepared;
mod queue;
mod refusal;
mod session;
mod timelines;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use connector::{Connector, Opened};
pub(crate) use link::{Connection, Link};
pub(crate) use listener::Listener;
pub(crate) use ownership::Ownership;
pub(crate) use prepared::Parameter;
pub(crate) use queue::{Lanes, Queue};
