//! Waiting for a completion that another process makes.

use std::time::Duration;

use idem_conformance::redis::Server;
use idem_core::Store;
use idem_redis::RedisStore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{acquire, complete, config, key, lone};

const LONG: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn waiters_of_another_store_are_told_and_leave_no_subscription_or_connection_behind() {
    let (server, store) = lone().await;
    let other = RedisStore::open(config(&server)).await.unwrap();
    let lease = acquire(&store, "order").await;
    let mut waiters = JoinSet::new();
    for _ in 0..500 {
        let other = other.clone();
        waiters.spawn(async move { other.settled(&key("order"), LONG).await });
    }
    let name = store.redis_key(lease.key());
    subscribed(&server, &name, "1").await;
    let clients = server.run(&["CLIENT", "LIST"]).await.text();
    // One of each store, and the one that asks.
    assert!(clients.lines().count() <= 4, "{clients}");
    let _ = complete(&store, &lease).await.unwrap();
    let told = timeout(Duration::from_secs(20), waiters.join_all()).await.unwrap();
    assert!(told.into_iter().all(|settled| settled.unwrap()));
    subscribed(&server, &name, "0").await;
}

#[tokio::test]
async fn waiters_beyond_the_bound_and_without_notifications_still_end() {
    let server = Server::options().config("user idem on >pw ~* resetchannels +@all").start().await;
    for (most, username) in [(0, None), (1_024, Some("idem"))] {
        let mut config = config(&server);
        config.max_waiters = most;
        config.username = username.map(str::to_owned);
        config.password = username.map(|_| "pw".to_owned());
        let store = RedisStore::open(config).await.unwrap();
        let lease = acquire(&store, &format!("order-{most}")).await;
        let waiting = tokio::spawn({
            let (store, key) = (store.clone(), *lease.key());
            async move { store.settled(&key, LONG).await }
        });
        sleep(Duration::from_millis(50)).await;
        let _ = complete(&store, &lease).await.unwrap();
        assert!(timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_waiter_whose_connection_is_killed_still_ends() {
    let (server, store) = lone().await;
    let lease = acquire(&store, "order").await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key("order"), LONG).await }
    });
    subscribed(&server, &store.redis_key(lease.key()), "1").await;
    server.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let _ = complete(&store, &lease).await.unwrap();
    assert!(timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap());
}

async fn subscribed(server: &Server, channel: &str, count: &str) {
    let wait = async {
        while server.run(&["PUBSUB", "SHARDNUMSUB", channel]).await.elements()[1].text() != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap();
}
