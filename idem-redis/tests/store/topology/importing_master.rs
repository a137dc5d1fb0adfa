//! Keys of a slot that migrates between masters with different numbers of replicas. The replicas of the master that takes the
//! write count, not those of the master that gives the slot away.

use std::time::Duration;

use idem_core::{ErrorKind, LockAnswer};
use idem_redis::{Deployment, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Node, Server, slot};
use tokio::time::{sleep, timeout};

use crate::support::{address, all_report, cluster_config, config, key, lock};

const LONG: Duration = Duration::from_mins(1);

/// A cluster whose first master has two replicas, the second has one, and the third has none any more.
struct Uneven {
    cluster: Cluster,
    store: RedisStore,
    two: Node,
    one: Node,
    /// The second replica of `two`.
    second: Node,
}

impl Uneven {
    async fn start() -> Self {
        let cluster = Cluster::options()
            .each(|_, each| each.config("cluster-allow-replica-migration no"))
            .start()
            .await;
        let store = RedisStore::open(cluster_config(&cluster)).await.unwrap();
        let [two, one, none] = [0, 1, 2].map(|number| cluster.nodes()[number].clone());
        let second = cluster.replica_of(&none).await;
        second.run(&["CLUSTER", "REPLICATE", &two.run(&["CLUSTER", "MYID"]).await.text()]).await;
        cluster.wait_ok().await;
        let uneven = Self { cluster, store, two, one, second };
        // Waits until the store knows of the second replica.
        uneven.server().stop();
        let refused = async {
            let mut names = uneven.names_of(uneven.two.clone()).await;
            loop {
                let name = names.next().unwrap();
                match lock(&uneven.store, &name).await {
                    Err(error) if error.to_string().contains("1 of 2 replicas") => break,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        timeout(LONG, refused).await.unwrap();
        uneven.server().cont();
        uneven.cluster.wait_ok().await;
        uneven
    }

    fn server(&self) -> &Server {
        self.cluster.server(&self.second)
    }

    fn slot_of(&self, name: &str) -> u16 {
        slot(self.store.redis_key(&key(name)).as_bytes())
    }

    /// Names of keys whose slots `master` has.
    async fn names_of(&self, master: Node) -> impl Iterator<Item = String> + '_ {
        let mut own = vec![false; 16_384];
        let slots = master.run(&["CLUSTER", "SLOTS"]).await;
        for range in slots.elements() {
            let at = |place: usize| usize::try_from(range.elements()[place].integer().unwrap()).unwrap();
            let port = range.elements()[2].elements()[1].integer().unwrap();
            if port == i64::from(master.port()) {
                own[at(0)..=at(1)].fill(true);
            }
        }
        (0..100_000)
            .map(|number| format!("order {number}"))
            .filter(move |name| own[usize::from(self.slot_of(name))])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_an_importing_master_is_held_by_all_its_replicas() {
    let uneven = Uneven::start().await;
    let name = uneven.names_of(uneven.one.clone()).await.next().unwrap();
    let _moving = uneven.cluster.begin_migration(uneven.slot_of(&name), &uneven.two).await;
    // Stopped only now, since Valkey first has all replicas of the target acknowledge the migration.
    uneven.server().stop();
    let answer = lock(&uneven.store, &name).await;
    let kind = answer.as_ref().map_err(idem_core::Error::kind);
    assert!(matches!(kind, Err(ErrorKind::Timeout)), "the second replica is stopped, and yet: {answer:?}");
    uneven.server().cont();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_an_importing_master_waits_for_no_more_replicas_than_it_has() {
    let uneven = Uneven::start().await;
    // Beyond the names that `start` has used.
    let name = uneven.names_of(uneven.two.clone()).await.nth(2_000).unwrap();
    let _moving = uneven.cluster.begin_migration(uneven.slot_of(&name), &uneven.one).await;
    let answer = lock(&uneven.store, &name).await;
    assert!(matches!(answer, Ok(LockAnswer::Acquired(_))), "every server is up, and yet: {answer:?}");
}

/// As when a cluster gets one more master: the first slot goes to a master that had none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_a_master_without_slots_waits_for_no_more_replicas_than_it_has() {
    let fewer = Newcomer::start(1).await;
    let _moving = fewer.begin_migration().await;
    let answer = lock(&fewer.store, &fewer.name).await;
    assert!(matches!(answer, Ok(LockAnswer::Acquired(_))), "every server is up, and yet: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_a_master_without_slots_is_held_by_all_its_replicas() {
    let more = Newcomer::start(2).await;
    let _moving = more.begin_migration().await;
    let follower = more.cluster.server(&more.followers[1]);
    follower.stop();
    let answer = lock(&more.store, &more.name).await;
    follower.cont();
    let kind = answer.as_ref().map_err(idem_core::Error::kind);
    assert!(matches!(kind, Err(ErrorKind::Timeout)), "its second replica is stopped, and yet: {answer:?}");
}

/// A cluster of masters with two replicas each, and a master without slots that is about to get its first.
struct Newcomer {
    cluster: Cluster,
    store: RedisStore,
    followers: Vec<Node>,
    to: Node,
    /// A key of that slot.
    name: String,
}

impl Newcomer {
    /// The new master has so many `replicas`.
    async fn start(replicas: usize) -> Self {
        let cluster = Cluster::options()
            .replicas(2)
            .each(|_, each| each.config("cluster-allow-replica-migration no"))
            .start()
            .await;
        let masters = [0, 1, 2].map(|number| cluster.nodes()[number].clone());
        let newcomer = cluster.replica_of(&masters[0]).await;
        let id = async |node: &Node| node.run(&["CLUSTER", "MYID"]).await.text();
        newcomer.run(&["CLUSTER", "RESET", "SOFT"]).await;
        let (host, port) = (masters[0].host().to_string(), masters[0].port().to_string());
        newcomer.run(&["CLUSTER", "MEET", &host, &port]).await;
        let newcomer_id = id(&newcomer).await;
        all_report(&cluster, &newcomer_id, "master").await;
        let mut followers = Vec::new();
        // The first master has only one replica left.
        for master in masters.iter().skip(1).take(replicas) {
            let follower = cluster.replica_of(master).await;
            let follower_id = id(&follower).await;
            follower.run(&["CLUSTER", "REPLICATE", &newcomer_id]).await;
            all_report(&cluster, &follower_id, &newcomer_id).await;
            followers.push(follower);
        }
        cluster.wait_ok().await;
        let mut config: RedisConfig = config(&cluster.nodes()[0]);
        config.servers = masters.iter().map(address).collect();
        (config.deployment, config.acks) = (Deployment::Cluster, None);
        let store = RedisStore::open(config).await.unwrap();
        let slot_of = |name: &str| slot(store.redis_key(&key(name)).as_bytes());
        // In the last third of the slots, which the third master has.
        let name =
            (0..1_000).map(|number| format!("order {number}")).find(|name| slot_of(name) > 11_000).unwrap();
        Self { cluster, store, followers, to: newcomer, name }
    }

    async fn begin_migration(&self) -> impl Sized + use<'_> {
        let slot = slot(self.store.redis_key(&key(&self.name)).as_bytes());
        self.cluster.begin_migration(slot, &self.to).await
    }
}
