//! Opening: finds and checks the servers, and decides how many replicas must hold a write.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use idem_core::ErrorKind;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::config::acks::Acks;
use crate::config::deployment::Deployment;
use crate::config::redis_config::RedisConfig;
use crate::connection::connector::Connector;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::topology::active_watcher::ActiveWatcher;
use crate::topology::cluster::slots::SlotTable;
use crate::topology::cluster::view::{Range, View};
use crate::topology::discover;
use crate::topology::node::common::Common;
use crate::topology::node::connections::Node;
use crate::topology::node::marker::Markers;
use crate::topology::node::required_acks::RequiredAcks;
use crate::topology::node::requirements::{self, Demands, Keeps};
use crate::topology::node::server_time::ServerTime;
use crate::topology::servers::{Topology, no_server_known};

/// How long a write may take to reach the disk with `appendfsync everysec`: a server waits at most two seconds for a sync in
/// progress.
const MAX_EVERYSEC_DELAY: Duration = Duration::from_secs(2);

impl Topology {
    /// Finds the servers, checks them, and begins to watch them.
    pub(crate) async fn open(
        config: &RedisConfig,
        connector: Connector,
        time: Arc<ServerTime>,
    ) -> Result<Arc<Self>, AttemptError> {
        let topology = Arc::new(Self {
            deployment: config.deployment.clone(),
            seeds: config.servers.clone(),
            sentinel_connector: Arc::new(connector.of_sentinels(config)),
            common: Arc::new(Common {
                connector: Arc::new(connector),
                demands: Demands {
                    allow_eviction: config.allow_eviction,
                    cluster: config.deployment == Deployment::Cluster,
                },
                time,
                connections: config.connections,
                shards: Mutex::default(),
                markers: Markers::new(&config.prefix),
                required_acks: OnceLock::new(),
            }),
            check_interval: config.check_interval,
            table: RwLock::new(Arc::new(SlotTable::empty())),
            nodes: Mutex::default(),
            is_durable: AtomicBool::new(false),
            sentinel_epoch: AtomicU64::new(0),
            refresh_requested: Notify::new(),
            active_watcher: ActiveWatcher::new(config.check_interval),
        });
        let required_acks = topology.begin(config).await?;
        // Cannot fail: it is set only here.
        let _ = topology.common.required_acks.set(required_acks);
        let nodes = topology.table().nodes.clone();
        let replicated = nodes.into_iter().map(|node| async move { node.replicate_marker().await });
        replicated.collect::<JoinSet<()>>().join_all().await;
        topology.update_durability();
        topology.ensure_watched();
        Ok(topology)
    }

    async fn begin(self: &Arc<Self>, config: &RedisConfig) -> Result<RequiredAcks, AttemptError> {
        let required_acks = if config.deployment == Deployment::Cluster {
            self.begin_cluster(config.acks).await?
        } else {
            self.begin_single_master(config).await?
        };
        for node in &self.table().nodes {
            let link = node.link(node.next_connection()).await?;
            requirements::check_scripts(&link, &node.server.probe_key()).await?;
            if required_acks.waits() {
                requirements::check_waiting(&link, required_acks.is_for_disk()).await?;
            }
            if required_acks.is_for_disk() {
                refuse_slow_fsync(node, config.ack_timeout)?;
            }
        }
        Ok(required_acks)
    }

    async fn begin_cluster(self: &Arc<Self>, acks: Option<Acks>) -> Result<RequiredAcks, AttemptError> {
        let view = self.ask_cluster(false).await?;
        discover::refuse_unless_whole(&view)?;
        self.adopt(&view);
        if !matches!(acks, Some(Acks::Count(_))) {
            self.refuse_orphans(&view).await?;
        }
        Ok(RequiredAcks::of_cluster(acks, &view, &self.shards()))
    }

    /// Refuses a cluster with a master that has no replica. The kind of the error distinguishes a master that never had a
    /// replica from one that is likely to have one again.
    async fn refuse_orphans(&self, view: &View) -> Result<(), AttemptError> {
        let orphan = view.ranges.iter().find(|range| range.replicas.is_empty());
        let Some(Range { master, .. }) = orphan else { return Ok(()) };
        let node = self.at(&master.address);
        node.link(node.next_connection()).await?;
        let kind = if node.server.had_replicas() { ErrorKind::Unavailable } else { ErrorKind::InvalidConfig };
        let message = format!(
            "the master {} has no replica, so nothing would survive it: give it one, or accept that with acks = 0",
            master.address
        );
        Err(AttemptError::refused(kind, message))
    }

    async fn begin_single_master(
        self: &Arc<Self>,
        config: &RedisConfig,
    ) -> Result<RequiredAcks, AttemptError> {
        let known_replicas = self.find_master().await?;
        let table = self.table();
        let Some(node) = table.nodes.first() else { return Err(no_server_known()) };
        if let Err(error) = node.link(node.next_connection()).await {
            if node.server.is_demoted() && config.deployment == Deployment::Standalone {
                let message = format!("{} is a replica: name its master, or its sentinels", node.address());
                return Err(AttemptError::refused(ErrorKind::InvalidConfig, message));
            }
            return Err(error);
        }
        let facts = node.server.facts().ok_or_else(no_server_known)?;
        let required_acks = RequiredAcks::of_single_master(
            config.acks,
            &facts,
            node.server.had_replicas() || known_replicas > 0,
        )?;
        if !required_acks.is_replicated() {
            tracing::warn!(
                server = %node.address(),
                "no replica acknowledges what is written (acks): when the server is lost, so is what it has. When it is \
                 started again, it keeps {}",
                facts.keeps
            );
        }
        Ok(required_acks)
    }
}

/// Refuses a server whose writes may not reach its disk within `ack_timeout`. With `everysec` they reach it within a second,
/// or within two where the disk is busy.
fn refuse_slow_fsync(node: &Node, ack_timeout: Duration) -> Result<(), AttemptError> {
    let facts = node.server.facts().ok_or_else(no_server_known)?;
    let Keeps::Appended { fsync } = &facts.keeps else { return Ok(()) };
    let message = match fsync.as_deref() {
        Some("no") => "acks = disk needs another appendfsync than no".to_owned(),
        Some("everysec") if ack_timeout < MAX_EVERYSEC_DELAY => format!(
            "with appendfsync everysec, acks = disk needs an ack_timeout of {MAX_EVERYSEC_DELAY:?} at least, and a longer \
             response_timeout; or set appendfsync always"
        ),
        _ => return Ok(()),
    };
    Err(AttemptError::refused(ErrorKind::InvalidConfig, format!("{}: {message}", node.address())))
}
