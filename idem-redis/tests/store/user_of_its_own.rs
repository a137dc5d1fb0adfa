//! The user of `docs/redis.md` may do all that a store does.

use std::time::Duration;

use bytes::Bytes;
use idem_conformance::redis::{Cluster, Node, Pair, Server, ServerOptions};
use idem_core::{Fenced, Store};
use idem_redis::{Deployment, RedisConfig, RedisStore};

use crate::support::{acquire, assert_replays, complete, completed, config, key, lock};

fn user() -> &'static str {
    let page = include_str!("../../../docs/redis.md");
    page.lines().find(|line| line.starts_with("user idem on >secret ")).unwrap()
}

fn by_it(node: &Node) -> RedisConfig {
    let mut config = config(node);
    (config.username, config.password) = (Some("idem".to_owned()), Some("secret".to_owned()));
    config
}

async fn does_all(store: &RedisStore, server: &Node) {
    let lease = acquire(store, "order").await;
    let minute = Duration::from_mins(1);
    assert_eq!(
        store.checkpoint(&lease, 1, Bytes::from_static(b"one"), minute).await.unwrap(),
        Fenced::Applied
    );
    assert_eq!(store.renew(&lease, minute).await.unwrap(), Fenced::Applied);
    assert!(!store.settled(&key("order"), Duration::from_millis(300)).await.unwrap());
    assert_eq!(complete(store, &lease).await.unwrap(), Fenced::Applied);
    assert_replays(store, "order").await;
    assert!(store.settled(&key("order"), minute).await.unwrap());
    let lease = acquire(store, "given back").await;
    assert_eq!(store.release(&lease).await.unwrap(), Fenced::Applied);
    completed(store, "given back").await;
    assert!(store.get(&key("given back")).await.unwrap().is_some());
    assert!(store.remove(&key("order"), true).await.unwrap());
    let damaged = store.redis_key(&key("damaged"));
    server.run(&["SET", &damaged, "what idem did not write"]).await;
    assert!(lock(store, "damaged").await.is_err());
    assert!(store.remove(&key("damaged"), true).await.unwrap());
}

#[tokio::test]
async fn the_user_of_the_pages_may_do_all_on_a_server_with_a_replica() {
    let options: ServerOptions = Server::options().config(user());
    let pair = Pair::start_with(1, &options).await;
    let store = RedisStore::open(by_it(pair.master())).await.unwrap();
    assert!(store.capabilities().replicated);
    does_all(&store, pair.master()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_the_pages_may_do_all_on_a_cluster() {
    let cluster = Cluster::options().each(|_, each| each.config(user())).start().await;
    let mut config = by_it(&cluster.nodes()[0]);
    (config.deployment, config.confirm_replays) = (Deployment::Cluster, true);
    let store = RedisStore::open(config).await.unwrap();
    let slot = idem_conformance::redis::slot(store.redis_key(&key("damaged")).as_bytes());
    does_all(&store, &cluster.master_of(slot).await).await;
    for name in 0..32 {
        completed(&store, &format!("order {name}")).await;
    }
}
