//! A master with replicas.

use idem_servers::redis::{Pair, Server};

#[tokio::test]
async fn a_pair_is_ready_with_every_replica_in_sync() {
    let pair = Pair::start_with(2, &Server::options().password("hunter2")).await;
    pair.master().run(&["SET", "greeting", "hello"]).await;
    pair.wait_ok().await;
    for replica in pair.replicas() {
        assert_eq!(replica.run(&["GET", "greeting"]).await.text(), "hello");
    }
    assert_eq!(pair.master().run(&["DBSIZE"]).await.integer(), Some(1), "the probe key is deleted");
}
