//! The user that docs/redis.md recommends has the permissions that the store needs, and the store reports a missing
//! one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Capabilities, Claim, Effect, Fingerprint, Key, LockAnswer, Outcome, Owner, Registry, Scope, Store,
};
use idem_servers::redis::{Cluster, Node, Pair, Server, ServerOptions};

fn user() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.lines().find(|line| line.starts_with("user idem on >secret ")).unwrap().to_owned()
}

fn options() -> ServerOptions {
    Server::options().config(user())
}

/// Makes every call as the recommended user, and has one waiter notified.
async fn make_every_call(scheme: &str, server: &Node) -> Capabilities {
    let uri = format!("{scheme}://idem:secret@{}", server.addr());
    let store = Registry::new().with(idem_redis::DRIVER).open(uri).await.unwrap();
    let fingerprint = Fingerprint::builder("page user").part("request").finish();
    for turn in 0..8 {
        let key = Key::new(&Scope::shared(), format!("order {turn}")).unwrap();
        let (lease, retention) = (Duration::from_secs(30), Duration::from_mins(5));
        let lock = async || {
            let claim = Claim { owner: Owner::random().unwrap(), lease, retention };
            match store.lock(&key, &fingerprint, &claim).await.unwrap() {
                LockAnswer::Acquired(lease) => lease,
                other => panic!("{other:?}"),
            }
        };
        let lease = lock().await;
        let progress = Bytes::from_static(b"half");
        assert_eq!(store.checkpoint(&lease, 1, progress, lease.retention()).await.unwrap(), Effect::Applied);
        assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
        let lease = lock().await;
        assert_eq!(store.renew(&lease, Duration::from_secs(30)).await.unwrap(), Effect::Applied);
        let waiter = tokio::spawn({
            let store = std::sync::Arc::clone(&store);
            async move { store.settled(&key, Duration::from_secs(30)).await }
        });
        let outcome = Outcome::Value(Bytes::from_static(b"receipt"));
        assert_eq!(store.complete(&lease, outcome, retention).await.unwrap(), Effect::Applied);
        assert!(waiter.await.unwrap().unwrap());
        assert!(store.get(&key).await.unwrap().is_some());
        assert!(store.remove(&key, true).await.unwrap());
    }
    store.capabilities()
}

#[tokio::test]
async fn recommended_user_is_enough_for_a_master_with_a_replica() {
    let pair = Pair::start_with(1, &options()).await;
    assert!(make_every_call("redis", pair.master()).await.replicated);
}

#[tokio::test]
async fn recommended_user_is_enough_for_a_cluster() {
    let cluster = Cluster::options().each(|_, each| each.config(user())).start().await;
    assert!(make_every_call("redis-cluster", &cluster.nodes()[0]).await.replicated);
}
