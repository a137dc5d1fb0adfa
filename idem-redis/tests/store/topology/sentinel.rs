//! A master that a sentinel names.

use std::time::Duration;

use idem_core::ErrorKind;
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::{Node, Pair, Server, ServerOptions};

use crate::support::{
    acquire, address, assert_replays, completed, config, lock, recovers, refusal, sentinel_of,
};

/// A sentinel that monitors `master` on its own, and fails over quickly.
async fn sentinel(master: &Node) -> Server {
    sentinel_with(master, Server::options()).await
}

async fn sentinel_with(master: &Node, options: ServerOptions) -> Server {
    sentinel_of(master, options)
        .config("sentinel down-after-milliseconds shop 500")
        .config("sentinel failover-timeout shop 3000")
        .start()
        .await
}

fn by(sentinel: &Node, service: &str) -> RedisConfig {
    let mut config = config(sentinel);
    config.deployment = RedisConfig::sentinel(service, [address(sentinel)]).deployment;
    config.call_timeout = Duration::from_secs(20);
    config
}

#[tokio::test]
async fn a_store_follows_the_master_that_the_sentinel_names() {
    let pair = Pair::start(1).await;
    let sentinel = sentinel(pair.master()).await;
    let store = RedisStore::open(by(&sentinel, "shop")).await.unwrap();
    completed(&store, "before").await;
    // The replica acknowledged the write, so it has the record whatever becomes of the master.
    let name = store.redis_key(&crate::support::key("before"));
    assert_eq!(pair.replicas()[0].run(&["EXISTS", &name]).await.text(), "1");
    knows_replica(&sentinel).await;

    pair.master().kill();
    // The promoted server has no replica to acknowledge writes: completed keys replay, and new ones time out.
    recovers(|| lock(&store, "before")).await;
    assert_replays(&store, "before").await;
    let new = lock(&store, "after").await;
    assert_eq!(new.unwrap_err().kind(), ErrorKind::Timeout);

    let mut alone = by(&sentinel, "shop");
    alone.acks = Some(idem_redis::Acks::Count(0));
    let store = RedisStore::open(alone).await.unwrap();
    assert_replays(&store, "before").await;
    acquire(&store, "since").await;
}

/// The master has restarted since, and does not know of the replica.
#[tokio::test]
async fn a_replica_known_only_to_the_sentinel_is_required_at_opening() {
    let pair = Pair::start(1).await;
    let sentinel = sentinel(pair.master()).await;
    knows_replica(&sentinel).await;
    pair.replicas()[0].kill();
    pair.master().restart().await;
    let missed = async {
        loop {
            let (kind, message) = refusal(by(&sentinel, "shop")).await;
            assert_eq!(kind, ErrorKind::Unavailable, "{message}");
            if message.contains("has no replica in step at the moment") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), missed).await.unwrap();
    let mut alone = by(&sentinel, "shop");
    alone.acks = Some(idem_redis::Acks::Count(0));
    acquire(&RedisStore::open(alone).await.unwrap(), "as wanted").await;
}

#[tokio::test]
async fn a_name_that_the_sentinel_does_not_know_is_refused() {
    let server = Server::lone().await;
    let sentinel = sentinel(&server).await;
    let mut unknown = by(&sentinel, "stop");
    unknown.call_timeout = Duration::from_secs(2);
    let (kind, text) = refusal(unknown).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
    assert!(text.contains("stop"), "{text}");
}

#[tokio::test]
async fn a_sentinel_has_a_password_of_its_own() {
    let server = Server::lone().await;
    let sentinel = sentinel_with(&server, Server::options().password("sentinels-own")).await;
    let mut config = by(&sentinel, "shop");
    for (password, refused) in [(None, true), (Some("another"), true), (Some("sentinels-own"), false)] {
        config.sentinel_password = password.map(str::to_owned);
        if refused {
            let (kind, text) = refusal(config.clone()).await;
            assert_eq!(kind, ErrorKind::InvalidConfig, "{text}");
            assert!(!text.contains("another"), "{text}");
        } else {
            completed(&RedisStore::open(config.clone()).await.unwrap(), "order").await;
        }
    }
    assert!(!format!("{config:?}").contains("sentinels-own"));
}

async fn knows_replica(sentinel: &Node) {
    let known = async {
        while sentinel.run(&["SENTINEL", "REPLICAS", "shop"]).await.elements().is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), known).await.unwrap();
}

#[tokio::test]
async fn a_sentinel_named_as_a_server_is_refused_naming_the_scheme() {
    let server = Server::lone().await;
    let sentinel = sentinel(&server).await;
    let (kind, message) = refusal(config(&sentinel)).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("redis-sentinel"), "{message}");
}
