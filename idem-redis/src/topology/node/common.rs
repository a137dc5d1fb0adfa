//! What all servers of a store share.

use std::sync::{Arc, Mutex, OnceLock};

use crate::connection::connector::Connector;
use crate::topology::cluster::shards::Shards;
use crate::topology::node::marker::Markers;
use crate::topology::node::required_acks::RequiredAcks;
use crate::topology::node::requirements::Demands;
use crate::topology::node::server_time::ServerTime;

/// What all servers of a store share.
pub(crate) struct Common {
    pub(crate) connector: Arc<Connector>,
    pub(crate) demands: Demands,
    pub(crate) time: Arc<ServerTime>,
    /// How many connections for calls there are to each server.
    pub(crate) connections: usize,
    pub(crate) shards: Mutex<Shards>,
    pub(crate) markers: Markers,
    pub(crate) required_acks: OnceLock<RequiredAcks>,
}
