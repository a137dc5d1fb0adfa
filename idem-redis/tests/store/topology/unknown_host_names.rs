//! A cluster that is configured to announce host names, with servers that have none: their addresses are in the metadata.

use std::net::{IpAddr, Ipv4Addr};

use idem_redis::{Deployment, RedisStore};
use idem_servers::redis::Cluster;

use crate::support::{completed, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_prefers_host_names_but_has_none_is_used_by_its_addresses() {
    let host_of = |number: usize| IpAddr::V4(Ipv4Addr::new(127, 0, 1, u8::try_from(number).unwrap() + 1));
    let cluster = Cluster::options()
        .each(move |number, each| {
            let host = host_of(number);
            each.host(host)
                .config(format!("cluster-announce-ip {host}"))
                .config("cluster-preferred-endpoint-type hostname")
        })
        .start()
        .await;
    let mut config = config(&cluster.nodes()[0]);
    config.deployment = Deployment::Cluster;
    let opened = RedisStore::open(config).await;
    assert!(opened.is_ok(), "{opened:?}");
    let store = opened.unwrap();
    for name in 0..32 {
        completed(&store, &format!("order {name}")).await;
    }
}
