//! A server that hangs does not delay the checks of the others.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{Acks, Deployment, RedisConfig, RedisStore};
use idem_servers::redis::{Cluster, Node, Server, slot};
use tokio::time::{sleep, timeout};

use crate::support::{address, completed, config, key, lock, sentinel_of};

const LONG: Duration = Duration::from_secs(30);

/// A configuration with long limits, which a hanging server does not exceed.
fn patient(server: &Node) -> RedisConfig {
    let mut config = config(server);
    config.connect_timeout = Duration::from_mins(10);
    config.response_timeout = Duration::from_mins(10);
    config.call_timeout = Duration::from_secs(1);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_server_delays_the_check_of_no_other() {
    let cluster = Cluster::options().replicas(0).start().await;
    let mut config = patient(&cluster.nodes()[0]);
    config.servers = cluster.nodes().iter().map(address).collect();
    (config.deployment, config.acks) = (Deployment::Cluster, Some(Acks::Count(0)));
    let store = RedisStore::open(config).await.unwrap();
    let masters = cluster.masters().await;
    for (hung, evicting) in [(0, 1), (1, 0)] {
        let at_evicting = async |name: &String| {
            cluster.master_of(slot(store.redis_key(&key(name)).as_bytes())).await == masters[evicting]
        };
        let mut name = "order 0".to_owned();
        for number in 1.. {
            if at_evicting(&name).await {
                break;
            }
            name = format!("order {number}");
        }
        cluster.server(&masters[hung]).stop();
        masters[evicting].run(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
        let refused = async {
            loop {
                match lock(&store, &name).await {
                    Err(error) if error.kind() == ErrorKind::InvalidConfig => break,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        timeout(LONG, refused).await.unwrap();
        masters[evicting].run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
        cluster.server(&masters[hung]).cont();
        let recovered = async {
            while lock(&store, &name).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, recovered).await.unwrap();
    }
}

#[tokio::test]
async fn a_hanging_sentinel_does_not_delay_opening() {
    let master = Server::lone().await;
    let sentinel = || sentinel_of(&master, Server::options()).start();
    let (hung, healthy) = tokio::join!(sentinel(), sentinel());
    hung.stop();
    let mut config = patient(&hung);
    config.servers = vec![address(&hung), address(&healthy)];
    config.deployment = Deployment::Sentinel { master_name: "shop".to_owned() };
    let store = timeout(LONG, RedisStore::open(config)).await.unwrap().unwrap();
    completed(&store, "order").await;
}
