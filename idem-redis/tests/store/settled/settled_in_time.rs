//! How long `settled` may take.

use std::time::Duration;

use idem_core::Store;
use idem_redis::RedisStore;
use idem_servers::redis::Server;
use tokio::time::{Instant, timeout};

use crate::support::{acquire, config};

/// The server answers nothing. Both the timeout of `settled` and the call timeout of the store apply.
#[tokio::test]
async fn settled_ends_within_its_timeout_and_that_of_a_call_although_the_server_hangs() {
    let server = Server::lone().await;
    let mut config = config(&server);
    config.response_timeout = Duration::from_mins(1);
    config.call_timeout = Duration::from_millis(500);
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    server.stop();
    let began = Instant::now();
    // Ten times what both limits allow.
    let ended = timeout(Duration::from_secs(6), store.settled(lease.key(), Duration::from_millis(100))).await;
    server.cont();
    assert!(ended.is_ok(), "not ended after {:?}", began.elapsed());
}

/// The same when the connection has to be made again.
#[tokio::test]
async fn settled_ends_within_its_timeout_and_that_of_a_call_although_no_connection_is_made() {
    let server = Server::lone().await;
    let mut config = config(&server);
    (config.connect_timeout, config.response_timeout) = (Duration::from_mins(1), Duration::from_mins(1));
    config.call_timeout = Duration::from_millis(500);
    config.check_interval = Duration::from_hours(1);
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    server.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    // Time for the store to notice.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop();
    let ended = timeout(Duration::from_secs(6), store.settled(lease.key(), Duration::from_millis(100))).await;
    server.cont();
    assert!(ended.is_ok(), "not ended after ten times its limits");
}
