//! Opening: the servers are found and checked, and it is settled what must hold a write.

use std::sync::Arc;

use idem_core::ErrorKind;

use super::required::Required;
use super::{Topology, check, discover, nobody};
use crate::protocol::fault::Fault;
use crate::{Acks, Deployment, RedisConfig};

impl Topology {
    pub(super) async fn begin(self: &Arc<Self>, config: &RedisConfig) -> Result<Required, Fault> {
        let required = if config.deployment == Deployment::Cluster {
            self.begin_cluster(config.acks).await?
        } else {
            self.begin_lone(config).await?
        };
        let probe = format!("{}check", config.prefix);
        for node in &self.table().nodes {
            let link = node.link().await?;
            check::scripts(&link, &probe).await?;
            if required.is_any() {
                check::waiting(&link).await?;
            }
        }
        Ok(required)
    }

    async fn begin_cluster(self: &Arc<Self>, acks: Option<Acks>) -> Result<Required, Fault> {
        let view = self.look(false).await?;
        discover::refuse_unless_whole(&view)?;
        self.adopt(&view);
        Required::of_cluster(acks, &view, &self.shards())
    }

    async fn begin_lone(self: &Arc<Self>, config: &RedisConfig) -> Result<Required, Fault> {
        let known_replicas = self.find_lone().await?;
        let table = self.table();
        let Some(node) = table.nodes.first() else { return Err(nobody()) };
        if let Err(fault) = node.link().await {
            if node.is_demoted() && config.deployment == Deployment::Lone {
                let message = format!("{} is a replica: name its master, or its sentinels", node.address());
                return Err(Fault::refused(ErrorKind::InvalidConfig, message));
            }
            return Err(fault);
        }
        let facts = node.facts().ok_or_else(nobody)?;
        let required = Required::of_lone(config.acks, &facts, node.had_replicas() || known_replicas > 0)?;
        if !required.is_any() {
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
