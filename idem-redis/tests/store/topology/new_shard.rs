//! A replica that becomes a master with slots of its own leaves its shard.

use std::time::Duration;

use idem_redis::RedisStore;
use idem_servers::redis::{Cluster, Node, slot};
use tokio::time::sleep;

use crate::support::{all_report, cluster_config, completed, key, lock};

async fn id(node: &Node) -> String {
    node.run(&["CLUSTER", "MYID"]).await.text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_became_a_master_leaves_its_former_shard() {
    let cluster = Cluster::options().replicas(2).start().await;
    let mut config = cluster_config(&cluster);
    config.call_timeout = Duration::from_secs(5);
    let store = RedisStore::open(config).await.unwrap();
    completed(&store, "before").await;
    let [first, second] = [0, 1].map(|number| cluster.nodes()[number].clone());
    let left = cluster.replica_of(&first).await;
    let follower = cluster.replica_of(&second).await;
    let (left_id, follower_id) = (id(&left).await, id(&follower).await);

    // As `redis-cli --cluster` would do it: the replica forgets its master, and joins the cluster again as a master.
    left.run(&["CLUSTER", "RESET", "SOFT"]).await;
    left.run(&["CLUSTER", "MEET", &first.host().to_string(), &first.port().to_string()]).await;
    all_report(&cluster, &left_id, "master").await;
    follower.run(&["CLUSTER", "REPLICATE", &left_id]).await;
    all_report(&cluster, &follower_id, &left_id).await;
    // The first of three masters has the first third of the slots, the third the last.
    let find = |fits: fn(u16) -> bool| {
        (0..10_000).map(|number| format!("order {number}")).find(|name| fits(slot_of(&store, name))).unwrap()
    };
    let (stays, moves) = (find(|slot| slot < 5_000), find(|slot| slot > 11_000));
    cluster.migrate_slot(slot_of(&store, &moves), &left).await;
    cluster.wait_ok().await;
    // Time for several checks.
    sleep(Duration::from_secs(1)).await;

    let answer = [
        ("the slot that moved", lock(&store, &moves).await),
        ("its former shard", lock(&store, &stays).await),
    ];
    assert!(
        answer.iter().all(|(_, answer)| answer.is_ok()),
        "every master's replicas have caught up, and yet: {answer:?}"
    );
}

fn slot_of(store: &RedisStore, name: &str) -> u16 {
    slot(store.redis_key(&key(name)).as_bytes())
}
