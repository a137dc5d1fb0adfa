//! The number of replicas is checked periodically: new replicas are waited for, and none is forgotten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idem_core::{ErrorKind, Store};
use idem_redis::{Acks, RedisConfig, RedisStore};
use idem_servers::redis::{Node, Pair, Server};
use tokio::time::{sleep, timeout};

use crate::support::{acquire, completed, config, kind, lock, refusal, wait_for_replicas};

const LONG: Duration = Duration::from_secs(30);

fn with_acks(server: &Node, acks: Acks) -> RedisConfig {
    let mut config = config(server);
    config.acks = Some(acks);
    config
}

/// Makes `replica` follow `master`, and waits until it has caught up.
async fn follow(replica: &Server, master: &Node) {
    replica.run(&["REPLICAOF", &master.host().to_string(), &master.port().to_string()]).await;
    master.run(&["SET", "probe", replica.pid().unwrap().to_string().as_str()]).await;
    while replica.run(&["GET", "probe"]).await.text() != master.run(&["GET", "probe"]).await.text() {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a lock that `replica` does not acknowledge times out.
async fn is_waited_for(store: &RedisStore, replica: &Server) {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    replica.stop();
    let refused = async {
        loop {
            let name = format!("not replicated {}", TURN.fetch_add(1, Ordering::Relaxed));
            match lock(store, &name).await {
                Err(error) if error.to_string().contains("replicas hold the write in time") => {
                    break error.kind();
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    assert_eq!(timeout(LONG, refused).await.unwrap(), ErrorKind::Timeout);
    replica.cont();
}

#[tokio::test]
async fn a_replica_that_appears_must_hold_every_write_from_then_on() {
    let (master, replica) = (Server::lone().await, Server::lone().await);
    let store = RedisStore::open(config(&master)).await.unwrap();
    assert!(!store.capabilities().replicated);
    completed(&store, "alone").await;
    follow(&replica, &master).await;
    let raised = async {
        while !store.capabilities().replicated {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, raised).await.unwrap();
    is_waited_for(&store, &replica).await;
    // A killed replica is still waited for.
    replica.kill();
    assert_eq!(kind(lock(&store, "after").await), ErrorKind::Timeout);
}

/// The master has a replica, so a deployment that is just starting must not be refused as misconfigured.
#[tokio::test]
async fn a_master_whose_replica_has_not_caught_up_yet_is_unavailable() {
    let master = Server::options()
        .config("repl-diskless-sync yes")
        .config("repl-diskless-sync-delay 3600")
        .config("repl-diskless-sync-max-replicas 0")
        .start()
        .await;
    let replica = Server::lone().await;
    replica.run(&["REPLICAOF", &master.host().to_string(), &master.port().to_string()]).await;
    wait_for_replicas(&master, "1").await;
    for config in [config(&master), with_acks(&master, Acks::All)] {
        let (kind, message) = refusal(config).await;
        assert_eq!(kind, ErrorKind::Unavailable, "{message}");
        assert!(message.contains("in step"), "{message}");
    }
}

/// Whoever removes an `acks` that cannot be met can then open the server without it.
#[tokio::test]
async fn waiting_for_a_replica_does_not_mark_a_server_as_having_had_one() {
    let server = Server::lone().await;
    let waiting = RedisStore::open(with_acks(&server, Acks::Count(1))).await.unwrap();
    assert_eq!(kind(lock(&waiting, "order").await), ErrorKind::Timeout);
    drop(waiting);
    acquire(&RedisStore::open(config(&server)).await.unwrap(), "another").await;
}

#[tokio::test]
async fn a_replica_absent_at_opening_is_waited_for_once_it_is_back() {
    let pair = Pair::start(2).await;
    let (near, away) = (&pair.replicas()[0], &pair.replicas()[1]);
    away.kill();
    wait_for_replicas(pair.master(), "1").await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    completed(&store, "with one").await;
    away.restart().await;
    follow(away, pair.master()).await;
    is_waited_for(&store, away).await;
    is_waited_for(&store, near).await;
}

/// This is so for every process that starts after a failover, before the old master has become a replica.
#[tokio::test]
async fn a_master_that_had_a_replica_and_has_none_is_refused_at_opening_until_it_has_one_again() {
    let pair = Pair::start(1).await;
    let replica = &pair.replicas()[0];
    completed(&RedisStore::open(config(pair.master())).await.unwrap(), "before").await;
    pair.master().kill();
    replica.run(&["REPLICAOF", "NO", "ONE"]).await;
    for config in [config(replica), with_acks(replica, Acks::All)] {
        let (kind, message) = refusal(config).await;
        assert_eq!(kind, ErrorKind::Unavailable, "{message}");
        assert!(message.contains("acks = 0"), "{message}");
    }
    acquire(&RedisStore::open(with_acks(replica, Acks::Count(0))).await.unwrap(), "as wanted").await;

    pair.master().restart().await;
    follow(pair.master(), replica).await;
    let opened = async {
        loop {
            match RedisStore::open(config(replica)).await {
                Ok(store) => break store,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let store = timeout(LONG, opened).await.unwrap();
    assert!(store.capabilities().replicated);
    is_waited_for(&store, pair.master()).await;
}

#[tokio::test]
async fn acks_all_is_refused_for_a_server_that_never_had_a_replica() {
    let server = Server::lone().await;
    let (kind, message) = refusal(with_acks(&server, Acks::All)).await;
    assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
    assert!(message.contains("acks = all"), "{message}");
}

/// For example one that only took a copy: no store ever relied on it.
#[tokio::test]
async fn a_replica_that_left_before_any_store_opened_is_not_required() {
    let pair = Pair::start(1).await;
    pair.replicas()[0].run(&["REPLICAOF", "NO", "ONE"]).await;
    wait_for_replicas(pair.master(), "0").await;
    let store = RedisStore::open(config(pair.master())).await.unwrap();
    assert!(!store.capabilities().replicated);
    completed(&store, "order").await;
}
