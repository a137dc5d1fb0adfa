//! The kinds of rounds on Redis, a file each.

pub(crate) mod failover;
pub(crate) mod forget;
pub(crate) mod freeze;
pub(crate) mod healthy;
pub(crate) mod kill;
pub(crate) mod migrate;
pub(crate) mod partition;
pub(crate) mod paused;

use idem_redis::Acks;
use idem_servers::redis::Cluster;

use crate::callers::load::Load;
use crate::callers::worker::Round;
use crate::environment::redis::cluster::{addresses, cluster_config, open};

/// Two stores on `cluster`, as two processes would have them, and their workers.
async fn load(cluster: &Cluster, label: &str, seed: u64, acks: Option<Acks>) -> Load {
    load_on(cluster, label, seed, acks, Round::new()).await
}

async fn load_on(cluster: &Cluster, label: &str, seed: u64, acks: Option<Acks>, round: Round) -> Load {
    let mut config = cluster_config(&addresses(cluster), acks);
    let first = config.clone();
    // The replicas hold what such a store replays, so a replay is as good as an acknowledged completion.
    config.confirm_replays = true;
    let stores = vec![open(first).await, open(config).await];
    Load::begin(stores, &format!("{label} {seed} {acks:?}"), seed, round)
}
