//! A server that has stopped reading.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Outcome, Store};
use idem_redis::RedisStore;
use tokio::task::JoinSet;

use crate::support::{acquire, config, kind};

/// The queue keeps what fits. The store refuses the rest as `Unavailable`, since nothing of it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_for_a_server_that_reads_nothing_is_bounded() {
    const MIB: usize = 1 << 20;
    let server = idem_servers::redis::Server::lone().await;
    let mut config = config(&server);
    config.response_timeout = Duration::from_secs(20);
    config.call_timeout = Duration::from_secs(2);
    let store = RedisStore::open(config).await.unwrap();
    let mut leases = Vec::new();
    for number in 0..64 {
        leases.push(acquire(&store, &format!("order {number}")).await);
    }
    server.stop();
    let mut calls = JoinSet::new();
    for lease in leases {
        let store = store.clone();
        calls.spawn(async move {
            let outcome = Outcome::Value(Bytes::from(vec![7; MIB - 1_024]));
            kind(store.complete(&lease, outcome, lease.retention()).await)
        });
    }
    let kinds = calls.join_all().await;
    let refused = kinds.iter().filter(|kind| **kind == idem_core::ErrorKind::Unavailable).count();
    // 16 MiB wait, and some MiB are in the system's own buffers.
    assert!(refused >= 32, "{kinds:?}");
    server.cont();
}
