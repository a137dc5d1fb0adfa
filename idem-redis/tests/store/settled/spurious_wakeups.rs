//! What must not wake those who wait for a key.

use std::time::Duration;

use idem_core::Store;
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::Server;

use crate::support::{acquire, address, calls_of, config, sentinel_of};

/// Counted, not timed: one poll a second is due where notifications come. The connection to a sentinel ends after each
/// query; it has no subscriptions.
#[tokio::test]
async fn a_closed_connection_to_a_sentinel_wakes_no_waiter() {
    let server = Server::lone().await;
    let sentinel = sentinel_of(&server, Server::options()).start().await;
    let mut config = config(&server);
    config.servers = vec![address(&sentinel)];
    config.deployment = RedisConfig::sentinel("shop", [address(&sentinel)]).deployment;
    let store = RedisStore::open(config).await.unwrap();
    let lease = acquire(&store, "order").await;
    let before = calls_of(&server, "evalsha").await;
    assert!(!store.settled(lease.key(), Duration::from_secs(5)).await.unwrap());
    let polls = calls_of(&server, "evalsha").await - before;
    assert!(polls <= 8, "{polls} polls");
}
