//! Two servers behind one Redis Cluster.

use idem_servers::redis::shared_cluster;

use crate::process::{Kept, Server, is_replay, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_on_the_other_server_replays() {
    let (uri, kept) = (shared_cluster().await.uri(), Kept::new());
    let servers = [0, 1].map(|_| Server::start(&uri, &kept.effects(), &[]));
    for turn in 0..10 {
        let key = format!("two-servers-{}-{turn}", std::process::id());
        let (here, there) = (&servers[turn % 2], &servers[(turn + 1) % 2]);
        let first = here.post("/things", &key).send().await.unwrap();
        assert_eq!((first.status().as_u16(), is_replay(&first)), (201, false));
        let retry = there.post("/things", &key).send().await.unwrap();
        assert!(is_replay(&retry));
        assert_eq!(json(retry).await, json(first).await);
    }
}
