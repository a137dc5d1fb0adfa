//! A master that becomes a replica while it is busy.

use std::time::Duration;

use idem_core::{ErrorKind, Store};
use idem_redis::{Acks, RedisStore};
use idem_servers::redis::{Pair, Server};
use tokio::time::timeout;

use crate::support::{assert_replays, completed, config, key, kind, lock};

async fn wait_until_in_sync(replica: &Server) {
    while replica.run(&["INFO", "replication"]).await.field("master_link_status").as_deref() != Some("up") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The demoted master still takes writes, so that only its role shows that another server is the master.
#[tokio::test]
async fn a_demoted_master_answers_no_call_under_load_although_it_takes_writes() {
    let pair = Pair::start(1).await;
    let (master, promoted) = (pair.master(), &pair.replicas()[0]);
    let mut config = config(master);
    config.acks = Some(Acks::Count(0));
    config.call_timeout = Duration::from_millis(300);
    let store = RedisStore::open(config).await.unwrap();
    completed(&store, "order").await;
    master.run(&["CONFIG", "SET", "replica-read-only", "no"]).await;
    promoted.run(&["REPLICAOF", "NO", "ONE"]).await;
    assert_replays(&store, "order").await;
    master.run(&["REPLICAOF", &promoted.host().to_string(), &promoted.port().to_string()]).await;
    wait_until_in_sync(master).await;
    let until_refused = async {
        while lock(&store, "order").await.is_ok() || store.get(&key("order")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), until_refused).await.unwrap();
    for _ in 0..3 {
        assert_eq!(kind(lock(&store, "order").await), ErrorKind::Unavailable);
        assert_eq!(kind(store.get(&key("order")).await), ErrorKind::Unavailable);
    }
}
