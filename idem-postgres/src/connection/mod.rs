//! Connections, and the queues of calls that share them.

mod connector;
mod link;
mod listener;
mod queue;
mod refusal;
mod session;
mod timelines;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use connector::Connector;
pub(crate) use link::Link;
pub(crate) use listener::Listener;
pub(crate) use queue::{Lanes, Queue};
