//! Connections to servers: how they are made and secured, what is in flight on them, and waiting for replicas.

pub(crate) mod acknowledgers;
mod connection_task;
pub(crate) mod connector;
pub(crate) mod link;
pub(crate) mod notification_listener;
mod pipelined;
mod queue;
mod replicas;
pub(crate) mod single_flight;
#[cfg(feature = "tls")]
mod tls;
