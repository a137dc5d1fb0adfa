//! Servers shared by all tests of a run.

use idem_servers::redis::{shared_cluster, shared_lone, shared_pair, slot};

#[tokio::test]
async fn a_shared_server_is_the_same_on_every_call() {
    let node = shared_lone().await;
    assert_eq!(shared_lone().await, node);
    node.run(&["SET", "shared:lone", "1"]).await;
}

#[tokio::test]
async fn a_shared_pair_has_its_master_first() {
    let [master, replica] = shared_pair().await;
    assert_eq!(master.run(&["ROLE"]).await.elements()[0].text(), "master");
    assert_eq!(replica.run(&["ROLE"]).await.elements()[0].text(), "slave");
}

#[tokio::test]
async fn a_shared_cluster_serves_keys() {
    let cluster = shared_cluster().await;
    cluster.master_of(slot(b"shared:cluster")).await.run(&["SET", "shared:cluster", "1"]).await;
}

#[tokio::test]
async fn a_shared_cluster_is_the_same_on_every_call() {
    assert_eq!(shared_cluster().await.nodes(), shared_cluster().await.nodes());
}
