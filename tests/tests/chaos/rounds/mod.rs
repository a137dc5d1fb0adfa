//! One file a kind of round.

mod failover;
mod kill;

use idem_conformance::redis::Cluster;
use idem_redis::Acks;

use crate::cluster::addresses;
use crate::load::{Load, cluster_config};
use crate::worker::Ground;

/// Two stores, as of two processes, and their workers, on `cluster`.
async fn load(cluster: &Cluster, label: &str, seed: u64, acks: Option<Acks>) -> Load {
    let config = cluster_config(&addresses(cluster), acks);
    Load::begin(vec![config.clone(), config], &format!("{label} {seed}"), seed, Ground::new()).await
}
