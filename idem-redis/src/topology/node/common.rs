//! What the servers of a store have in common.

use std::sync::{Arc, Mutex, OnceLock};

use crate::connection::connector::Connector;
use crate::topology::cluster::shards::Shards;
use crate::topology::node::marker::Markers;
use crate::topology::node::required_acks::RequiredAcks;
use crate::topology::node::requirements::Demands;
use crate::topology::node::server_time::ServerTime;

/// What is the same for all servers of a store.
pub(crate) struct Common {
    pub(crate) connector: Arc<Connector>,
    pub(crate) demands: Demands,
    pub(crate) time: Arc<ServerTime>,
    /// To each server, for calls.
    pub(crate) connections: usize,
    pub(crate) shards: Mutex<Shards>,
    pub(crate) markers: Markers,
    pub(crate) required_acks: OnceLock<RequiredAcks>,
}
