//! Opening: the servers are found and checked, and it is settled what must hold a write.

use std::sync::Arc;
use std::time::Duration;

use idem_core::ErrorKind;

use super::check::Keeps;
use super::node::Node;
use super::required::Required;
use super::slots::{Range, View};
use super::{Topology, check, discover, nobody};
use crate::protocol::fault::Fault;
use crate::{Acks, Deployment, RedisConfig};

/// How long a write may take to the disk with `appendfsync everysec`: a server waits two seconds at most for a sync that is
/// under way.
const LONGEST_EVERYSEC: Duration = Duration::from_secs(2);

impl Topology {
    pub(super) async fn begin(self: &Arc<Self>, config: &RedisConfig) -> Result<Required, Fault> {
        let required = if config.deployment == Deployment::Cluster {
            self.begin_cluster(config.acks).await?
        } else {
            self.begin_lone(config).await?
        };
        for node in &self.table().nodes {
            let link = node.link(node.turn()).await?;
            check::scripts(&link, &node.probe_key()).await?;
            if required.waits() {
                check::waiting(&link, required.is_for_disk()).await?;
            }
            if required.is_for_disk() {
                refuse_unless_disk_is_soon(node, config.ack_timeout)?;
            }
        }
        Ok(required)
    }

    async fn begin_cluster(self: &Arc<Self>, acks: Option<Acks>) -> Result<Required, Fault> {
        let view = self.look(false).await?;
        discover::refuse_unless_whole(&view)?;
        self.adopt(&view);
        if !matches!(acks, Some(Acks::Count(_))) {
            self.refuse_orphans(&view).await?;
        }
        Ok(Required::of_cluster(acks, &view, &self.shards()))
    }

    /// Refuses a cluster of which a master has no replica, when nobody said that this is wanted: one that never had any by
    /// another kind of error than one that is about to have one again.
    async fn refuse_orphans(&self, view: &View) -> Result<(), Fault> {
        let orphan = view.ranges.iter().find(|range| range.replicas.is_empty());
        let Some(Range { master, .. }) = orphan else { return Ok(()) };
        let node = self.at(&master.address);
        node.link(node.turn()).await?;
        let kind = if node.had_replicas() { ErrorKind::Unavailable } else { ErrorKind::InvalidConfig };
        let message = format!(
            "the master {} has no replica, so nothing would survive it: give it one, or accept that with acks = 0",
            master.address
        );
        Err(Fault::refused(kind, message))
    }

    async fn begin_lone(self: &Arc<Self>, config: &RedisConfig) -> Result<Required, Fault> {
        let known_replicas = self.find_lone().await?;
        let table = self.table();
        let Some(node) = table.nodes.first() else { return Err(nobody()) };
        if let Err(fault) = node.link(node.turn()).await {
            if node.is_demoted() && config.deployment == Deployment::Standalone {
                let message = format!("{} is a replica: name its master, or its sentinels", node.address());
                return Err(Fault::refused(ErrorKind::InvalidConfig, message));
            }
            return Err(fault);
        }
        let facts = node.facts().ok_or_else(nobody)?;
        let required = Required::of_lone(config.acks, &facts, node.had_replicas() || known_replicas > 0)?;
        if !required.is_replicated() {
            tracing::warn!(
                server = %node.address(),
                "no replica acknowledges what is written (acks): when the server is lost, so is what it has. When it is \
                 started again, it keeps {}",
                facts.keeps
            );
        }
        Ok(required)
    }
}

/// With `everysec` a write is on the disk up to a second later, and two where the disk is busy.
fn refuse_unless_disk_is_soon(node: &Node, ack_timeout: Duration) -> Result<(), Fault> {
    let facts = node.facts().ok_or_else(nobody)?;
    let Keeps::Appended { fsync } = &facts.keeps else { return Ok(()) };
    let message = match fsync.as_deref() {
        Some("no") => "acks = disk needs another appendfsync than no".to_owned(),
        Some("everysec") if ack_timeout < LONGEST_EVERYSEC => format!(
            "with appendfsync everysec, acks = disk needs an ack_timeout of {LONGEST_EVERYSEC:?} at least, and a longer \
             response_timeout; or set appendfsync always"
        ),
        _ => return Ok(()),
    };
    Err(Fault::refused(ErrorKind::InvalidConfig, format!("{}: {message}", node.address())))
}
