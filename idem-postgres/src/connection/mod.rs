//! Connections, and the queues of calls that share them.

mod connector;
mod link;
mod queue;

pub(crate) use connector::Connector;
pub(crate) use link::Link;
pub(crate) use queue::Queue;
