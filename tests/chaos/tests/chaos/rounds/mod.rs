//! One file a kind of round.

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

use crate::callers::load::{Load, cluster_config};
use crate::callers::worker::Ground;
use crate::ground::cluster::addresses;

/// Two stores, as of two processes, and their workers, on `cluster`.
async fn load(cluster: &Cluster, label: &str, seed: u64, acks: Option<Acks>) -> Load {
    load_on(cluster, label, seed, acks, Ground::new()).await
}

async fn load_on(cluster: &Cluster, label: &str, seed: u64, acks: Option<Acks>, ground: Ground) -> Load {
    let mut config = cluster_config(&addresses(cluster), acks);
    let first = config.clone();
    // What such a store replays was held by the replicas when it was told, and so is a claim like any other.
    config.confirm_replays = true;
    Load::begin(vec![first, config], &format!("{label} {seed} {acks:?}"), seed, ground).await
}
