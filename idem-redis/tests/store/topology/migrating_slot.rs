//! Keys of a slot that migrates from one master to another, where replicas are waited for.

use std::time::Duration;

use idem_core::{Effect, LockAnswer};
use idem_redis::{Acks, RedisStore};
use idem_servers::redis::{Cluster, slot};

use crate::support::{cluster_config, complete, key, lock};

async fn store_of(cluster: &Cluster, acks: Option<Acks>) -> RedisStore {
    let mut config = cluster_config(cluster);
    config.acks = acks;
    config.call_timeout = Duration::from_secs(5);
    RedisStore::open(config).await.unwrap()
}

/// The source answers `ASK`, the target takes the write after `ASKING`, and the target's replica holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_of_a_migrating_slot_is_locked_and_completed_with_any_acks() {
    let cluster = Cluster::start().await;
    for acks in [Some(Acks::Count(0)), Some(Acks::Count(1)), None] {
        let store = store_of(&cluster, acks).await;
        let name = format!("moving {acks:?}");
        let slot = slot(store.redis_key(&key(&name)).as_bytes());
        let from = cluster.master_of(slot).await;
        let to = cluster.masters().await.into_iter().find(|node| *node != from).unwrap();
        let migration = cluster.begin_migration(slot, &to).await;
        let lease = match lock(&store, &name).await {
            Ok(LockAnswer::Acquired(lease)) => lease,
            other => panic!("{acks:?}: {other:?}"),
        };
        assert_eq!(complete(&store, &lease).await.unwrap(), Effect::Applied);
        migration.cancel().await;
    }
}
