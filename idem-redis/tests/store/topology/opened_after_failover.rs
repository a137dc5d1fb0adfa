//! A process that starts between the loss of a master and its return.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::RedisStore;
use idem_servers::redis::Cluster;
use tokio::time::{sleep, timeout};

use crate::support::{cluster_config, completed};

/// The missing replica is not a mistake in the configuration: it passes, as with a single master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_promoted_master_has_no_replica_yet_is_unavailable() {
    let cluster = Cluster::start().await;
    let mut config = cluster_config(&cluster);
    config.call_timeout = Duration::from_secs(5);
    let store = RedisStore::open(config.clone()).await.unwrap();
    for name in 0..32 {
        completed(&store, &format!("order {name}")).await;
    }
    let lost = cluster.nodes()[0].clone();
    let promoted = cluster.replica_of(&lost).await;
    cluster.server(&lost).kill();
    let refused = async {
        loop {
            match RedisStore::open(config.clone()).await {
                Err(error) if error.to_string().contains("has no replica") => break error,
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let error = timeout(Duration::from_mins(1), refused).await.unwrap();
    assert!(error.to_string().contains(&promoted.port().to_string()), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
