//! A master that is a replica for a moment between a write and the wait for its replicas.

use std::time::Duration;

use idem_core::Store;
use idem_redis::RedisStore;
use idem_servers::redis::{Pair, Server};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::proxy::{Act, Proxy, has};
use crate::support::{claim, config, fingerprint, key};

/// As a replica the server discards the write, while its connections stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_discarded_during_a_demotion_is_not_acknowledged() {
    let (pair, other) = (Pair::start(1).await, Server::lone().await);
    let master = pair.master();
    let (open, gate) = watch::channel(false);
    let (seen, mut wrote) = watch::channel(false);
    let proxy = Proxy::start(master, move |number, request| {
        if has(request, "\r\nSET\r\n") {
            seen.send_replace(true);
        }
        // The second connection is the one that waits for replicas.
        if number == 2 { Act::Gate(gate.clone()) } else { Act::Pass }
    })
    .await;
    let mut config = config(&proxy.node());
    let long = Duration::from_mins(1);
    (config.call_timeout, config.connect_timeout, config.response_timeout) = (long, long, long);
    (config.ack_timeout, config.check_interval) = (Duration::from_secs(20), Duration::from_hours(1));
    let store = RedisStore::open(config).await.unwrap();
    let name = store.redis_key(&key("order"));
    let mine = claim();
    let locking = tokio::spawn({
        let store = store.clone();
        async move { store.lock(&key("order"), &fingerprint(), &mine).await }
    });
    wrote.wait_for(|wrote| *wrote).await.unwrap();
    while master.run(&["EXISTS", &name]).await.text() == "0" {
        sleep(Duration::from_millis(5)).await;
    }
    let (host, port) = (other.host().to_string(), other.port().to_string());
    master.run(&["REPLICAOF", &host, &port]).await;
    while master.run(&["EXISTS", &name]).await.text() == "1" {
        sleep(Duration::from_millis(5)).await;
    }
    master.run(&["REPLICAOF", "NO", "ONE"]).await;
    pair.wait_ok().await;
    open.send_replace(true);
    let answer = locking.await.unwrap();
    let kept = pair.replicas()[0].run(&["GET", &name]).await;
    assert!(
        answer.is_err() || !kept.bytes().is_empty(),
        "answered {answer:?}, although no server holds the write"
    );
}
