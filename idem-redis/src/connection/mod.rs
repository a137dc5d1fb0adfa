//! Connections to servers: how they are made and secured, which commands are in flight on them, and how replicas are waited
//! for.

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
